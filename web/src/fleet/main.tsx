import { renderPage } from "../shared/render";
import { FleetPage } from "./FleetPage";

renderPage(<FleetPage />);
