import { expect, test } from "vitest";
import { fitsSession, LiveText } from "../../src/speak/playback/engine/live/liveText";

/** All pieces, where each sentence of the text is spoken at once. */
function spokenPieces(text: string, limit: number, sentences: readonly string[]): string[] {
  const live = new LiveText(text, limit);
  const pieces: string[] = [];
  const take = () => {
    for (let piece = live.next(); piece !== null; piece = live.next()) pieces.push(piece);
  };
  take();
  for (const sentence of sentences) {
    live.spoken(sentence);
    take();
  }
  expect(live.isSent).toBe(true);
  return pieces;
}

test("a text within the limit is one piece, as it is", () => {
  expect(spokenPieces("  One.\n\nTwo.  ", 14, [])).toEqual(["  One.\n\nTwo.  "]);
});

test("a piece fits in a message of the data channel, whatever a server lets wait", () => {
  const text = "😀天气很好。".repeat(10_000);
  const pieces = spokenPieces(text, 1_000_000, []);
  expect(pieces.join("")).toBe(text);
  for (const piece of pieces) expect(new TextEncoder().encode(piece).length).toBeLessThan(64 * 1024);
});

test("syntax that the server removes, and a sentence that it rewrites, keep nothing back", () => {
  const sentences = Array.from({ length: 200 }, (_, at) => `Sentence number ${at} is here.`);
  const text = sentences.map((each) => `**${each}** [link](https://example.com/a/long/address) `).join("");
  const rewritten = sentences.map((each, at) =>
    at % 7 ? `${each} link` : "Quite other words, of a server that rewrites.",
  );
  expect(spokenPieces(text, 1024, rewritten).join("")).toBe(text);
});

test("a server with a small limit gets long texts over HTTP: a sentence of it might never be whole", () => {
  expect(fitsSession("a".repeat(100), 99)).toBe(false);
  expect(fitsSession("a".repeat(99), 99)).toBe(true);
  expect(fitsSession("a".repeat(100_000), 1024)).toBe(true);
});
