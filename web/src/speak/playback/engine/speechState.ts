// What the page shows of the current speech: one immutable value, replaced at each change. Pure.
import type { Sentence } from "../finishedSpeech";
import type { Moments } from "./figures";
import type { NoRtcReason } from "./live/liveConnection";
import type { TextRange } from "./sentences";

export type SpeechPhase = "idle" | "waiting" | "playing" | "paused" | "ended" | "failed";

export type SpeechFault = {
  readonly kind: "response" | "rest" | "brokenOff" | "noConnection" | "noSound" | "silent" | "tooLong";
  readonly message: string; // the server's own words, or the browser's
  readonly field: string | null;
  readonly retryAt: number | null; // milliseconds since 1970
};

export type SpeechState = {
  readonly phase: SpeechPhase;
  readonly isArriving: boolean;
  readonly text: string; // what is or was spoken
  readonly sentences: readonly Sentence[];
  readonly ranges: readonly (TextRange | null)[]; // of the sentences, in the text
  readonly audible: number; // index in sentences; -1: none
  readonly clickedAt: number; // milliseconds since 1970
  readonly moments: Moments | null;
  readonly underruns: number; // silences while audio was due
  readonly waits: number; // silences between two parts of a long text
  readonly waitingSince: number | null; // milliseconds since 1970: such a silence is now
  readonly region: string | null;
  readonly route: string | null;
  readonly isHeld: boolean; // the response has begun and its audio has not
  readonly isLive: boolean; // over WebRTC: the browser plays it, and the page has no samples
  readonly withoutRtc: NoRtcReason | "length" | null; // why this speech came over HTTP though real time was chosen
  readonly fault: SpeechFault | null;
};

export const IDLE: SpeechState = {
  phase: "idle",
  isArriving: false,
  text: "",
  sentences: [],
  ranges: [],
  audible: -1,
  clickedAt: 0,
  moments: null,
  underruns: 0,
  waits: 0,
  waitingSince: null,
  region: null,
  route: null,
  isHeld: false,
  isLive: false,
  withoutRtc: null,
  fault: null,
};

/** Whether there is something to stop. */
export function isActive(state: Pick<SpeechState, "phase">): boolean {
  return state.phase === "waiting" || state.phase === "playing" || state.phase === "paused";
}
