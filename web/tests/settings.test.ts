import { expect, test } from "vitest";
import { DEFAULT_SETTINGS, speechBody } from "../src/speak/settings/settings";

test("a request carries only what differs from the server's defaults", () => {
  expect(speechBody({ ...DEFAULT_SETTINGS, text: "Hello." })).toEqual({
    input: "Hello.",
    voice: "default",
    normalize: true,
  });
  expect(speechBody({ ...DEFAULT_SETTINGS, text: "Hello.", seed: 7, cfgValue: 1.5, speed: 1.25 })).toMatchObject({
    seed: 7,
    cfg_value: 1.5,
    speed: 1.25,
  });
});
