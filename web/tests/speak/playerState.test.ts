import { expect, test } from "vitest";
import type { PlayerEvent } from "../../src/shared/audio/player/speechPlayer";
import { atClick } from "../../src/speak/playback/engine/figures";
import { afterPlayerEvent, type Played } from "../../src/speak/playback/engine/playerState";
import { browserFault } from "../../src/speak/playback/engine/speechFault";
import { IDLE, type SpeechState } from "../../src/speak/playback/engine/speechState";

const SILENT = browserFault("silent");
const MOMENTS = { ...atClick(1000), firstAudio: 1200 };
const SENTENCES = [0, 2].map((atSeconds, index) => ({ index, text: "One.", atSeconds }));
const WAITING: SpeechState = { ...IDLE, phase: "waiting", moments: MOMENTS, sentences: SENTENCES };
const PLAYING: SpeechState = { ...WAITING, phase: "playing", audible: 0 };
const WAITS: SpeechState = { ...PLAYING, waits: 1, waitingSince: 5 };
const PLAYED: Played = { positionSeconds: 0, before: { underruns: 3, waits: 0 }, now: 9 };

test.each<[string, SpeechState, PlayerEvent, Partial<SpeechState> | null]>([
  ["its first sound", WAITING, { type: "started", atMilliseconds: 1500 }, at(1500)],
  ["a sound before its audio", WAITING, { type: "started", atMilliseconds: 1199 }, at(1200)],
  ["the end of silence", { ...WAITING, fault: SILENT }, started(), { ...at(1500), fault: null }],
  ["the end of silence later", { ...PLAYING, fault: SILENT }, started(), { fault: null }],
  ["another start", PLAYING, started(), null],
  ["the same sentence", PLAYING, progress(-3), null],
  ["an underrun", PLAYING, progress(1), moved({ underruns: 4 })],
  ["a wait for a part", PLAYING, { ...progress(-3), waits: 1, isWaiting: true }, moved({ waits: 1, waitingSince: 9 })],
  ["the same wait", WAITS, { ...progress(-3), waits: 1, isWaiting: true }, null],
  ["the end of a wait", WAITS, { ...progress(-3), waits: 1 }, moved({ waits: 1 })],
  ["its end", PLAYING, { type: "ended" }, { phase: "ended", audible: -1, waitingSince: null }],
  ["silence", WAITING, { type: "silent" }, { fault: SILENT }],
  ["no output", WAITING, { type: "failed", message: "m" }, { phase: "failed", fault: browserFault("noSound", "m") }],
])("%s", (_, state, event, change) => {
  expect(afterPlayerEvent(state, event, { ...PLAYED, positionSeconds: 1.5 })).toEqual(change);
});

test("the sentence that sounds is found by the position", () => {
  expect(afterPlayerEvent(PLAYING, progress(0), { ...PLAYED, positionSeconds: 2.5 })?.audible).toBe(1);
});

function progress(underruns: number) {
  return { type: "progress", underruns, waits: 0, isWaiting: false } as const;
}

/** The change of a progress, all at once. */
function moved(part: Partial<SpeechState>): Partial<SpeechState> {
  return { audible: 0, underruns: 0, waits: 0, waitingSince: null, ...part };
}

function started(): PlayerEvent {
  return { type: "started", atMilliseconds: 1500 };
}

function at(firstSound: number): Partial<SpeechState> {
  return { phase: "playing", moments: { ...MOMENTS, firstSound } };
}
