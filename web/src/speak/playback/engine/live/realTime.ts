// Whether speech comes over WebRTC: whether that was chosen, whether it works here, and which texts it is for.
import type { SpeechSettings } from "../../../settings/settings";
import { completeSettings, type FirstModel } from "../completeSettings";
import type { NoRtcReason } from "./liveConnection";
import type { LiveSource } from "./liveParts";
import { fitsSession } from "./liveText";

/** `withoutRtc`: why a speech comes over HTTP though real time was chosen. */
type Way = { readonly isLive: boolean; readonly withoutRtc: NoRtcReason | "length" | null };

export class RealTime {
  #isChosen = false;
  #failed: NoRtcReason | null = null; // it was tried, and is not tried for each speech anew

  constructor(readonly source: LiveSource) {}

  /** Choose WebRTC or HTTP for the next speech. */
  choose(isChosen: boolean): void {
    this.#isChosen = isChosen;
    this.#failed = null;
    if (isChosen) this.source.prepare();
    else this.source.disconnect();
  }

  wayOf(text: string, limit: number): Way {
    if (!this.#isChosen) return { isLive: false, withoutRtc: null };
    const withoutRtc = fitsSession(text, limit) ? this.#failed : "length";
    return { isLive: withoutRtc === null, withoutRtc };
  }

  /** The same speech comes over HTTP, and so do later ones. */
  fail(reason: NoRtcReason): Way {
    this.#failed = reason;
    return { isLive: false, withoutRtc: reason };
  }

  /** A speech of these settings is likely soon: connect for it, whatever its text will be. */
  connectAhead(settings: SpeechSettings, firstModel: FirstModel): void {
    if (!this.#isChosen || this.#failed !== null) return;
    const connect = (completed: SpeechSettings) => this.source.connect({ ...completed, seed: settings.seed });
    const completed = completeSettings(settings, firstModel);
    if (completed instanceof Promise) void completed.then(connect).catch(() => undefined);
    else connect(completed);
  }
}
