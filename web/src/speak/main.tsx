import { renderPage } from "../shared/render";
import { reportRoundTripsAfterLoad } from "./roundTrips";
import { SpeakPage } from "./SpeakPage";

renderPage(<SpeakPage />);
reportRoundTripsAfterLoad();
