import { expect, test } from "vitest";
import type { PlayerEvent } from "../../src/shared/audio/player/speechPlayer";
import { atClick } from "../../src/speak/playback/engine/figures";
import { afterPlayerEvent } from "../../src/speak/playback/engine/playerState";
import { browserFault } from "../../src/speak/playback/engine/speechFault";
import { IDLE, type SpeechState } from "../../src/speak/playback/engine/speechState";

const SILENT = browserFault("silent");
const MOMENTS = { ...atClick(1000), firstAudio: 1200 };
const SENTENCES = [0, 2].map((atSeconds, index) => ({ index, text: "One.", atSeconds }));
const WAITING: SpeechState = { ...IDLE, phase: "waiting", moments: MOMENTS, sentences: SENTENCES };
const PLAYING: SpeechState = { ...WAITING, phase: "playing", audible: 0 };

test.each<[string, SpeechState, PlayerEvent, Partial<SpeechState> | null]>([
  ["its first sound", WAITING, { type: "started", atMilliseconds: 1500 }, at(1500)],
  ["a sound before its audio", WAITING, { type: "started", atMilliseconds: 1199 }, at(1200)],
  ["the end of silence", { ...WAITING, fault: SILENT }, started(), { ...at(1500), fault: null }],
  ["the end of silence later", { ...PLAYING, fault: SILENT }, started(), { fault: null }],
  ["another start", PLAYING, started(), null],
  ["the same sentence", PLAYING, { type: "progress", underruns: -3 }, null],
  ["an underrun", PLAYING, { type: "progress", underruns: 1 }, { audible: 0, underruns: 4 }],
  ["its end", PLAYING, { type: "ended" }, { phase: "ended", audible: -1 }],
  ["silence", WAITING, { type: "silent" }, { fault: SILENT }],
  ["no output", WAITING, { type: "failed", message: "m" }, { phase: "failed", fault: browserFault("noSound", "m") }],
])("%s", (_, state, event, change) => {
  expect(afterPlayerEvent(state, event, { positionSeconds: 1.5, underrunsBefore: 3 })).toEqual(change);
});

test("the sentence that sounds is found by the position", () => {
  const event = { type: "progress", underruns: 0 } as const;
  expect(afterPlayerEvent(PLAYING, event, { positionSeconds: 2.5, underrunsBefore: 0 })?.audible).toBe(1);
});

function started(): PlayerEvent {
  return { type: "started", atMilliseconds: 1500 };
}

function at(firstSound: number): Partial<SpeechState> {
  return { phase: "playing", moments: { ...MOMENTS, firstSound } };
}
