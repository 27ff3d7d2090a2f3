import { expect, test } from "vitest";
import { clock } from "../../src/speak/clock";

test.each([
  [0, "0:00.0"],
  [5.96, "0:05.9"],
  [599.9, "9:59.9"],
  [600, "10:00"],
  [3599, "59:59"],
  [6662, "1:51:02"],
])("%d s are %s", (seconds, shown) => {
  expect(clock(seconds)).toBe(shown);
});
