import { expect, test } from "vitest";
import { snippets } from "../src/speak/programs/snippets";

const ORIGIN = "https://voice.example.com";

function textOf(name: string, model = "tts-1", voice = "alloy", needsKey = false): string {
  return snippets(ORIGIN, model, voice, needsKey).find((each) => each.name === name)?.text ?? "";
}

test("snippets have the server's address and the chosen names", () => {
  expect(textOf("baseUrl")).toBe(`${ORIGIN}/v1`);
  expect(textOf("python")).toContain(`base_url="${ORIGIN}/v1"`);
  expect(textOf("python")).toContain(`model="tts-1", voice="alloy"`);
  expect(textOf("curl")).toContain(`--json '{"model":"tts-1","voice":"alloy","input":"Hello."}'`);
});

test("names with quotes stay whole in a shell and in Python", () => {
  expect(textOf("curl", "m", "Ada's")).toContain(`"voice":"Ada'\\''s"`);
  expect(textOf("python", "m", 'the "first"')).toContain(`voice="the \\"first\\""`);
});

test("a key is asked for where the page sends one, and never written out", () => {
  expect(textOf("curl")).not.toContain("Authorization");
  expect(textOf("curl", "m", "v", true)).toContain("--header 'Authorization: Bearer KEY'");
});
