import { expect, test } from "vitest";
import { textBlocks } from "../../src/speak/playback/text/textBlocks";

test.each(["", "One.", "\n", "One.\n\nTwo.\n", "line\n".repeat(3000), `${"a".repeat(5000)}\n\n${"b".repeat(5000)}`])(
  "the blocks of a text are the text, cut at line breaks",
  (text) => {
    const blocks = textBlocks(text);
    expect(blocks.map((block) => block.text).join("\n")).toBe(text);
    for (const { start, text: block } of blocks) expect(text.slice(start, start + block.length)).toBe(block);
    expect(blocks.length).toBeLessThanOrEqual(1 + text.length / 1000);
  },
);

test("a text of many lines has blocks of a thousand characters, or of one line where that is longer", () => {
  expect(textBlocks("line\n".repeat(3000)).map(({ text }) => text.length)).toEqual(expect.arrayContaining([1004]));
  expect(textBlocks(`${"a".repeat(5000)}\n${"b".repeat(5000)}`)).toHaveLength(2);
});
