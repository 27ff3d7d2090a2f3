import { expect, test } from "vitest";
import { isTooLong } from "../../src/speak/playback/engine/long/longSpeech";
import { characterCount, isWithin, textParts } from "../../src/speak/playback/engine/long/textParts";

const texts = (text: string, limit: number) => textParts(text, limit).map((part) => part.text);

test.each([
  [
    "a paragraph",
    "One is here. Two is here.\n\nThree. Four is a bit longer.",
    40,
    ["One is here. Two is here.", "\n\nThree. Four is a bit longer."],
  ],
  ["a sentence", "One is here. Two is here. Three is it.", 30, ["One is here. Two is here.", " Three is it."]],
  ["a quoted sentence", "He said “Go home!” She went home then.", 30, ["He said “Go home!”", " She went home then."]],
  [
    "a Chinese sentence",
    "今天天气很好。我们出去走走吧！你想去哪里？",
    16,
    ["今天天气很好。我们出去走走吧！", "你想去哪里？"],
  ],
  ["a Chinese clause", "今天天气真的很好，我们出去走走吧你想", 14, ["今天天气真的很好，", "我们出去走走吧你想"]],
  ["a clause", "one two three, four five six seven", 26, ["one two three,", " four five six seven"]],
  ["a word", "one two three four five", 14, ["one two three", " four five"]],
  [
    "no number",
    "It costs 3.14159265 dollars in all of the shops.",
    30,
    ["It costs 3.14159265 dollars in", " all of the shops."],
  ],
  ["no bound at all", "a".repeat(25), 10, ["a".repeat(10), "a".repeat(10), "a".repeat(5)]],
])("a text is cut at %s", (_, text, limit, expected) => {
  expect(texts(text, limit)).toEqual(expected);
});

test("a text within the limit is one part, as it is", () => {
  expect(textParts("  One.\n\nTwo.  ", 14)).toEqual([{ start: 0, text: "  One.\n\nTwo.  ", pauseSeconds: 0 }]);
});

test("Chinese without punctuation is cut between words", () => {
  const parts = texts("我们明天早上一起去图书馆学习".repeat(3), 18);
  expect(parts.length).toBeGreaterThan(2);
  for (const part of parts) expect(part).not.toMatch(/(^书馆|^馆|图$|图书$)/u);
});

test.each(['<break time="500ms"/>', "[pause:500ms]", "[pause: 2 s]", '<say-as interpret-as="date">'])(
  "the mark %s stays whole, wherever the limit falls",
  (mark) => {
    const text = `one two three four ${mark} five six seven eight nine ten`;
    for (let limit = 2 * mark.length + 8; limit < text.length; limit++) {
      const parts = texts(text, limit);
      expect(
        parts.filter((part) => part.includes(mark)),
        `limit ${limit}`,
      ).toHaveLength(1);
      expect(parts.join("")).toBe(text);
    }
  },
);

test("a pause at a cut begins the next part, since a server drops it at the end of one", () => {
  const parts = textParts("One is here. [pause:2s]\n\nTwo is here, and longer.", 40);
  expect(parts.map(({ text }) => text)).toEqual(["One is here.", " [pause:2s]\n\nTwo is here, and longer."]);
  expect(parts[1]?.pauseSeconds).toBe(0);
});

test("the silence before a part is that of what ended", () => {
  const pauses = (text: string, limit: number) => textParts(text, limit).map(({ pauseSeconds }) => pauseSeconds);
  expect(pauses("One is here now.\n\nTwo is here now.", 24)).toEqual([0, 0.8]);
  expect(pauses("One is here now. Two is here now.", 24)).toEqual([0, 0.2]);
  expect(pauses("今天天气很好。我们出去走走吧！", 10)).toEqual([0, 0.2]);
  expect(pauses("one two three four five six", 16)).toEqual([0, 0]);
});

test("a stretch with nothing to speak is left out, and its neighbours keep their places", () => {
  const text = `One is here.${" *".repeat(40)} Two is here.`;
  const parts = textParts(text, 20);
  expect(parts.every((part) => /[\p{L}\p{N}]/u.test(part.text))).toBe(true);
  expect(parts.every(({ start, text: part }) => text.slice(start, start + part.length) === part)).toBe(true);
  expect(parts.map((part) => part.text.replace(/[* ]+/gu, " ").trim())).toEqual(["One is here.", "Two is here."]);
});

test("a text with nothing to speak goes to the server, which says so", () => {
  expect(texts("* ".repeat(30), 20)).toEqual(["* ".repeat(30)]);
});

test("the last part is no stub", () => {
  const parts = texts("A sentence of words. ".repeat(21).trim(), 400);
  expect(parts).toHaveLength(2);
  expect(Math.min(...parts.map(characterCount))).toBeGreaterThan(80);
});

const PIECES = [
  ..."aé字界.,。！？!? \n*#",
  ..."😀👩‍🚀",
  ...[
    "word ",
    "Mr. Hill ",
    "3.14",
    "\n\n",
    "\r\n\r\n",
    "[pause:1s]",
    '<break time="2s"/>',
    "</p>",
    "天气很好。",
    "“Yes!” ",
  ],
  ..."\u3164\u0301",
];

/** Numbers that are the same in each run (mulberry32). */
function drawing(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const spoken = (text: string) => text.replace(/<[^<>]*>|\[pause:1s\]|[^\p{L}\p{N}]|\u3164/gu, "");

test("any text: parts are within the limit, have speech, split no pair, and are the text without silent stretches", () => {
  for (let seed = 0; seed < 500; seed++) {
    const draw = drawing(seed);
    const text = Array.from({ length: 1 + draw(120) }, () => PIECES[draw(PIECES.length)]).join("");
    const limit = 1 + draw(60);
    const parts = textParts(text, limit);
    const isSpoken = parts.length > 1 || characterCount(text) <= limit || parts[0]?.text !== text;
    if (!isSpoken) continue; // nothing to speak: the whole text goes to the server
    let at = 0;
    for (const { start, text: part } of parts) {
      expect(start, `seed ${seed}`).toBeGreaterThanOrEqual(at);
      expect(spoken(text.slice(at, start)), `seed ${seed}`).toBe(""); // what is left out
      expect(text.slice(start, start + part.length), `seed ${seed}`).toBe(part);
      expect(characterCount(part), `seed ${seed}`).toBeLessThanOrEqual(limit);
      expect(part, `seed ${seed}`).not.toMatch(/\p{Cs}/u); // half a pair
      if (parts.length > 1) expect(part, `seed ${seed}`).toMatch(/[\p{L}\p{N}]/u);
      at = start + part.length;
    }
  }
});

test.each([
  ["a".repeat(10), true],
  ["a".repeat(11), false],
  ["😀".repeat(10), true],
  ["😀".repeat(11), false],
  [`${"😀".repeat(9)}aa`, false],
])("a text is within a limit of ten characters: %s %s", (text, isShort) => {
  expect(isWithin(text, 10)).toBe(isShort);
});

test("a text is too long by the server's count", () => {
  expect(isTooLong("😀".repeat(100_000), 10)).toBe(false);
  expect(isTooLong("😀".repeat(100_001), 10)).toBe(true);
  expect(isTooLong("a".repeat(100_001), 200_000)).toBe(false);
});

test.each([
  "A sentence of some words, and then a little more. ",
  "字",
  "a.......................................................................",
  "a[pause ",
  "a<b ",
])("the longest text is split while a key is typed: %s", (piece) => {
  const text = piece.repeat(100_000 / piece.length);
  const start = performance.now();
  expect(textParts(text, 4096).length).toBeLessThan(60);
  expect(performance.now() - start).toBeLessThan(1000); // takes some 10 ms
});

test("a long row of dots is split in time that grows with its length", () => {
  const start = performance.now();
  textParts(`a${".".repeat(99_999)}`, 100_000 - 1);
  expect(performance.now() - start).toBeLessThan(1000); // some 10 ms; the square of it would be a minute
});
