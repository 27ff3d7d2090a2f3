import { expect, test } from "vitest";
import {
  downloadBody,
  downloadName,
  HISTORY_LIMITS,
  type HistoryEntry,
  newEntry,
  settingsOf,
  withEntry,
} from "../src/speak/history/entries";
import type { FinishedSpeech } from "../src/speak/playback/finishedSpeech";
import { DEFAULT_SETTINGS } from "../src/speak/settings/settings";
import { idsToDelete } from "../src/speak/storage/retention";

function speech(text: string, startedAt = 1, bytes = 10): FinishedSpeech {
  return {
    settings: { ...DEFAULT_SETTINGS, text, model: "voxcpm-1.5", speed: 1.5 },
    seed: 42,
    startedAt,
    audio: new Blob([new Uint8Array(bytes)], { type: "audio/wav" }),
    sampleRate: 24000,
    durationSeconds: 1,
    peaks: new Float32Array(4),
    firstAudioMilliseconds: 90,
    region: null,
    route: null,
    sentences: [],
    isComplete: true,
  };
}

test("a speech is made again by its own seed, with its settings", () => {
  expect(settingsOf(speech("Hello.")).seed).toBe(42);
  expect(downloadBody(speech("Hello."), "opus")).toEqual({
    input: "Hello.",
    voice: "default",
    model: "voxcpm-1.5",
    seed: 42,
    speed: 1.5,
    normalize: true,
    response_format: "opus",
  });
});

test.each([
  ["Good morning! It's 9:45.", "mp3", "Good-morning-It-s-9-45-42.mp3"],
  ["早上好,世界", "opus", "早上好-世界-42.ogg"],
  ["../..", "wav", "speech-42.wav"],
  [`${"a".repeat(39)} b`, "flac", `${"a".repeat(39)}-42.flac`],
] as const)("the file of %s as %s", (text, format, name) => {
  expect(downloadName(speech(text), format)).toBe(name);
});

test("the oldest entries make room, by number and by bytes", () => {
  const sized = (id: string, storedAt: number, bytes = 1) => ({ id, storedAt, bytes });
  expect(idsToDelete([sized("a", 1), sized("b", 3), sized("c", 2)], { entries: 2, bytes: 9 })).toEqual(["a"]);
  expect(idsToDelete([sized("a", 1, 4), sized("b", 2, 4), sized("c", 3, 4)], { entries: 9, bytes: 8 })).toEqual(["a"]);
  // A smaller, older one does not stay where a newer one had to go: the history has no holes.
  expect(idsToDelete([sized("a", 1, 1), sized("b", 2, 9), sized("c", 3, 4)], { entries: 9, bytes: 8 })).toEqual([
    "b",
    "a",
  ]);
  expect(idsToDelete([sized("huge", 1, 99)], { entries: 9, bytes: 8 })).toEqual([]);
});

test("a new entry comes first, and the history stays within its limits", () => {
  let entries: HistoryEntry[] = [];
  for (let at = 0; at < HISTORY_LIMITS.entries + 3; at++) {
    entries = withEntry(entries, newEntry(speech("x", at), String(at)));
  }
  expect(entries).toHaveLength(HISTORY_LIMITS.entries);
  expect(entries[0]?.id).toBe(String(HISTORY_LIMITS.entries + 2));
  expect(entries.at(-1)?.id).toBe("3");
  expect(entries[0]?.bytes).toBe(10 + 16);
});
