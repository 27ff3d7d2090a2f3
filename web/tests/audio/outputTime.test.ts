import { expect, test } from "vitest";
import { audibleAt, outputLatency, outputTimestamp } from "../../src/shared/audio/player/outputTime";

const NOW = 10_000;

test.each([
  ["a moment that was played counts on from there", { contextTime: 1.9, performanceTime: 9950 }, 10_050],
  ["a moment in the future has not been played", { contextTime: 1.9, performanceTime: 16_000 }, 10_040],
  ["an output that has not begun has none", { contextTime: 0, performanceTime: 9950 }, 10_040],
  ["a browser without timestamps has none", {}, 10_040],
])("%s", (_, timestamp, expected) => {
  expect(audibleAt(2, timestamp, 40, NOW)).toBeCloseTo(expected);
});

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";

test("Firefox is not asked about its output: its tab would freeze", () => {
  const frozen = (): never => {
    throw new Error("frozen");
  };
  const context = { getOutputTimestamp: frozen, outputLatency: 0 };
  Object.defineProperty(context, "outputLatency", { get: frozen });
  expect(outputLatency(context, FIREFOX)).toBeGreaterThan(0);
  expect(outputTimestamp(context, FIREFOX)).toEqual({});
});

test("another browser is asked, and may have no answer", () => {
  const timestamp = { contextTime: 1, performanceTime: 2 };
  const context = { outputLatency: 0.02, getOutputTimestamp: () => timestamp };
  expect(outputLatency(context, CHROME)).toBe(0.02);
  expect(outputTimestamp(context, CHROME)).toBe(timestamp);
  expect(outputLatency({ outputLatency: Number.NaN }, CHROME)).toBe(0);
  expect(outputTimestamp({ outputLatency: Number.NaN }, CHROME)).toEqual({});
});
