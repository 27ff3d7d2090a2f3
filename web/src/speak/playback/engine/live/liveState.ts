// How the page's state follows the parts of a speech over WebRTC, which the browser plays itself. Pure.

import type { SpeechRun } from "../speechRun";
import type { SpeechState } from "../speechState";
import type { LivePart } from "./liveParts";

/** The change that a part makes; null for none. */
export function afterLivePart(
  state: SpeechState,
  part: LivePart,
  run: Pick<SpeechRun, "located">,
  now: number,
): Partial<SpeechState> | null {
  const { moments } = state;
  switch (part.kind) {
    case "head":
      return { moments: moments && { ...moments, firstByte: now } };
    case "sentence": // is sent with its first packet
      return {
        ...run.located(state, [part.sentence]),
        moments: moments && { ...moments, firstAudio: moments.firstAudio ?? now },
      };
    case "playing":
      return afterPlaying(state, part.audible, part.concealed, now);
    case "done":
      return { isArriving: false, phase: "ended", audible: -1 };
  }
}

function afterPlaying(
  state: SpeechState,
  audible: number,
  underruns: number,
  now: number,
): Partial<SpeechState> | null {
  const { moments, phase } = state;
  if (phase === "waiting") {
    return { phase: "playing", audible, underruns, moments: moments && { ...moments, firstSound: now } };
  }
  return audible !== state.audible || underruns !== state.underruns ? { audible, underruns } : null;
}
