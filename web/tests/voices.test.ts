import { expect, test } from "vitest";
import recordings from "../../inference/voxfleet_inference/audio/recordings.py?raw";
import uploads from "../../protocols/voxfleet_protocols/voice_upload.py?raw";
import { distinctModels, type Model, modelName, resolveVoice } from "../src/api/catalog";
import { decibels, findings, measure, RECORDING_LIMITS } from "../src/speak/voices/levels";
import { sampleLanguage } from "../src/speak/voices/previews";
import { fileName } from "../src/speak/voices/uploading";

function constant(source: string, name: string): number {
  const written = new RegExp(`^${name}: Final = (\\S+)(?: \\* 2\\*\\*(\\d+))?`, "m").exec(source);
  return Number(written?.[1]) * 2 ** Number(written?.[2] ?? 0);
}

test("the limits of a recording are the server's", () => {
  expect(RECORDING_LIMITS).toEqual({
    minSeconds: constant(recordings, "MIN_SECONDS"),
    maxSeconds: constant(recordings, "MAX_SECONDS"),
    minLevelDbfs: constant(recordings, "MIN_LEVEL_DBFS"),
    maxClippedShare: constant(recordings, "MAX_CLIPPED"),
    maxBytes: constant(uploads, "MAX_RECORDING_BYTES"),
  });
});

function tone(amplitude: number, seconds: number, rate = 8000): Float32Array {
  return Float32Array.from({ length: seconds * rate }, (_, at) => {
    const sample = amplitude * Math.sin((2 * Math.PI * 440 * at) / rate);
    return Math.max(-1, Math.min(1, sample));
  });
}

test("a sine at half of full scale measures -9 dB and no clipping", () => {
  const measured = measure([tone(0.5, 5)], 8000);
  expect(measured.seconds).toBe(5);
  expect(measured.levelDbfs).toBeCloseTo(-9.03, 1);
  expect(measured.clippedShare).toBe(0);
});

test("channels are mixed for the level, and one clipped channel counts", () => {
  const measured = measure([new Float32Array(8000).fill(1), new Float32Array(8000).fill(-1)], 8000);
  expect(measured.levelDbfs).toBe(-120);
  expect(measured.clippedShare).toBe(1);
});

test("silence has a level, and no samples are no error", () => {
  expect(decibels(0)).toBe(-120);
  expect(measure([], 48000)).toEqual({ seconds: 0, levelDbfs: -120, clippedShare: 0 });
});

test.each([
  ["a good one", tone(0.3, 10), []],
  ["too short", tone(0.3, 0.5), ["refused:tooShort"]],
  ["short", tone(0.3, 2), ["warning:short"]],
  ["too long", tone(0.3, 31), ["refused:tooLong"]],
  ["silent", tone(0.0001, 10), ["refused:silent"]],
  ["quiet", tone(0.005, 10), ["warning:quiet"]],
  ["clipped", tone(4, 10), ["refused:clipped"]],
])("a recording that is %s", (_, samples, expected) => {
  const found = findings(measure([samples], 8000), 1000);
  expect(found.map(({ kind, name }) => `${kind}:${name}`)).toEqual(expected);
});

test("a file is too large whether or not the browser can decode it", () => {
  expect(findings(null, RECORDING_LIMITS.maxBytes + 1)).toEqual([{ kind: "refused", name: "tooLarge" }]);
  expect(findings(null, RECORDING_LIMITS.maxBytes)).toEqual([]);
});

const list = {
  data: [
    { id: "default", object: "audio.voice", created_at: 0, name: "default", type: "built_in" },
    { id: "voice_1", object: "audio.voice", created_at: 1, name: "Ada", type: "audio_sample" },
  ],
  aliases: { alloy: "default", nova: "voice_1" },
} as const;

test.each([
  ["voice_1", "voice_1"],
  ["Ada", "voice_1"],
  ["nova", "voice_1"],
  ["alloy", "default"],
  ["gone", undefined],
])("the name %s means the voice %s", (name, id) => {
  expect(resolveVoice(list, name)?.id).toBe(id);
});

function model(id: string, root: string): Model {
  return { id, object: "model", created: 0, owned_by: "voxfleet", root };
}

test("other names of a model are no choice; the first is the default", () => {
  const models = [model("voxcpm", "voxcpm"), model("tts-1", "voxcpm"), model("other", "away")];
  expect(distinctModels(models).map(({ id }) => id)).toEqual(["voxcpm", "other"]);
  expect(modelName(null, models)).toBe("voxcpm");
  expect(modelName("tts-1", models)).toBe("tts-1");
  expect(modelName(null, undefined)).toBeNull();
});

test.each([
  ["zh", undefined, "zh"],
  ["zh", ["en"], "en"],
  ["zh", ["zh-CN", "en"], "zh"],
  ["en", ["zh"], "zh"],
  ["en", ["de"], "en"],
])("on a page in %s a model of %s speaks its sample in %s", (page, spoken, expected) => {
  expect(sampleLanguage(page, spoken, ["en", "zh"])).toBe(expected);
});

test("a recording of the microphone gets a file name of its type", () => {
  expect(fileName(new Blob([], { type: "audio/mp4" }))).toBe("recording.m4a");
  expect(fileName(new Blob([], { type: "audio/webm;codecs=opus" }))).toBe("recording.webm");
  expect(fileName(new File([], "ada.wav"))).toBe("ada.wav");
});
