// How the page's state follows the events of the player, which plays what arrives over HTTP. Pure.
import type { PlayerEvent } from "../../../shared/audio/player/speechPlayer";
import { audibleSentence } from "./sentences";
import { browserFault } from "./speechFault";
import type { SpeechState } from "./speechState";

/** Where the player is, and what was counted of this speech before it was played from another place. */
export type Played = {
  readonly positionSeconds: number; // of the clip
  readonly before: Pick<SpeechState, "underruns" | "waits">;
  readonly now: number; // milliseconds since 1970
};

/** The change that an event makes; null for none. */
export function afterPlayerEvent(state: SpeechState, event: PlayerEvent, played: Played): Partial<SpeechState> | null {
  switch (event.type) {
    case "started":
      return afterStart(state, event.atMilliseconds);
    case "progress":
      return afterProgress(state, event, played);
    case "ended":
      return { phase: "ended", audible: -1, waitingSince: null };
    case "silent":
      return { fault: browserFault("silent") }; // the speech arrives all the same
    case "failed":
      return { phase: "failed", fault: browserFault("noSound", event.message) };
  }
}

function afterStart({ fault, moments, phase }: SpeechState, firstSound: number): Partial<SpeechState> | null {
  const audible = fault?.kind === "silent" ? { fault: null } : null;
  if (phase !== "waiting") return audible;
  const earliest = moments?.firstAudio ?? 0; // Firefox's clock of the output may run a few milliseconds ahead
  return {
    ...audible,
    phase: "playing",
    moments: moments && { ...moments, firstSound: Math.max(firstSound, earliest) },
  };
}

function afterProgress(
  state: SpeechState,
  event: Extract<PlayerEvent, { type: "progress" }>,
  { positionSeconds, before, now }: Played,
): Partial<SpeechState> | null {
  const progress = {
    audible: audibleSentence(state.sentences, positionSeconds),
    underruns: before.underruns + event.underruns,
    waits: before.waits + event.waits,
    waitingSince: event.isWaiting ? (state.waitingSince ?? now) : null,
  };
  const names = Object.keys(progress) as (keyof typeof progress)[];
  return names.some((name) => progress[name] !== state[name]) ? progress : null;
}
