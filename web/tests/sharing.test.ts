import { expect, test } from "vitest";
import document from "../src/api/generated/inference.json";
import { BOUNDS, SETTINGS } from "../src/speak/settings/fields";
import { BUILT_IN_PRESETS, matches, readPresets, withPreset, writePresets } from "../src/speak/settings/presets";
import { DEFAULT_SETTINGS, FORMATS, type SpeechSettings } from "../src/speak/settings/settings";
import { readFragment, writeFragment } from "../src/speak/settings/shareLink";

type Field = { minimum?: number; maximum?: number; type?: string; enum?: string[]; anyOf?: Field[] };
const fields = document.paths["/v1/audio/speech"].post.requestBody.content["application/json"].schema
  .properties as unknown as Record<string, Field>;

function serverField(name: string): Field {
  const field = fields[name] as Field;
  return field.anyOf?.find((each) => each.type !== "null") ?? field;
}

test.each(Object.values(BOUNDS))("the bounds of $field are the server's", (bounds) => {
  const server = serverField(bounds.field);
  expect(bounds.min).toBe(server.minimum);
  expect(bounds.max).toBe(Math.min(server.maximum as number, Number.MAX_SAFE_INTEGER));
  expect(bounds.isInteger).toBe(server.type === "integer");
});

test("the formats are the server's, but for those of telephones, which no player opens", () => {
  expect([...FORMATS, "mulaw", "alaw"]).toEqual(serverField("response_format").enum);
});

const ALL: SpeechSettings = {
  text: "Smørrebrød & 早上好 #1 = 50 %\nnext line",
  model: "voxcpm-1.5",
  voice: "voice_0123456789abcdef0123456789abcdef",
  seed: Number.MAX_SAFE_INTEGER,
  cfgValue: 1.5,
  inferenceTimesteps: 20,
  speed: 0.75,
  normalize: false,
  format: "opus",
};

test("a link restores every setting", () => {
  expect(Object.keys(ALL).sort()).toEqual([...SETTINGS].sort());
  expect(readFragment(`#${writeFragment(ALL)}`)).toEqual({ settings: ALL, problems: [] });
});

test("a link leaves out what is at its default, and a null setting stays null", () => {
  expect(writeFragment(DEFAULT_SETTINGS)).toBe("v=1");
  expect(readFragment("#v=1")).toEqual({ settings: {}, problems: [] });
});

test("a fragment without a version is no link", () => {
  expect(readFragment("")).toBeNull();
  expect(readFragment("#section")).toBeNull();
});

test.each([
  ["speed=5", { name: "speed", given: "5", kind: "range", min: 0.25, max: 4 }],
  ["speed=NaN", { name: "speed", given: "NaN", kind: "number" }],
  ["speed=1e1", { name: "speed", given: "1e1", kind: "number" }],
  ["seed=1.5", { name: "seed", given: "1.5", kind: "integer" }],
  ["seed=-1", { name: "seed", given: "-1", kind: "range", min: 0, max: Number.MAX_SAFE_INTEGER }],
  ["inferenceTimesteps=41", { name: "inferenceTimesteps", given: "41", kind: "range", min: 2, max: 40 }],
  ["normalize=yes", { name: "normalize", given: "yes", kind: "boolean" }],
  ["format=ogg", { name: "format", given: "ogg", kind: "choice", choices: "mp3, opus, aac, flac, wav, pcm" }],
  ["voice=", { name: "voice", given: "", kind: "name", max: 256 }],
  ["apiKey=secret", { name: "apiKey", given: "secret", kind: "unknown" }],
  ["__proto__=1", { name: "__proto__", given: "1", kind: "unknown" }],
])("a bad value is left out and named: %s", (field, problem) => {
  expect(readFragment(`#v=1&${field}&cfgValue=3`)).toEqual({ settings: { cfgValue: 3 }, problems: [problem] });
});

test("a link of a later version restores nothing and says so", () => {
  expect(readFragment("#v=2&seed=7")).toEqual({
    settings: {},
    problems: [{ name: "v", given: "2", kind: "version" }],
  });
});

test("every built-in preset differs from the others and is within the bounds", () => {
  const texts = Object.values(BUILT_IN_PRESETS).map(writeFragment);
  expect(new Set(texts).size).toBe(texts.length);
  for (const text of texts) expect(readFragment(text)?.problems).toEqual([]);
  expect(matches(DEFAULT_SETTINGS, BUILT_IN_PRESETS.balanced)).toBe(true);
});

const NAMED = { ...DEFAULT_SETTINGS, text: "not kept" };

test("own presets survive storage; a second of the same name replaces the first", () => {
  const first = withPreset([], "mine", { ...NAMED, cfgValue: 3 });
  const second = withPreset(first, "mine", { ...DEFAULT_SETTINGS, speed: 2 });
  expect(readPresets(writePresets(second))).toEqual(second);
  expect(second).toHaveLength(1);
  expect(writePresets(first)).not.toContain("kept");
});

test.each([null, "", "{", "{}", '[["a"]]', '[["a","v=1&speed=9"]]', '[["a","v=9"]]', "[1]"])(
  "damaged presets are left out: %s",
  (stored) => expect(readPresets(stored)).toEqual([]),
);
