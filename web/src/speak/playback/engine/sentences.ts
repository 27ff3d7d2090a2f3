// Where the server's sentences are in the text that was typed, and which one is audible. Pure.
// The server removes syntax (Markdown, HTML, emoji) and joins white space; letters and digits stay, in their order.
import type { Sentence } from "../finishedSpeech";

export type TextRange = { readonly start: number; readonly stop: number };

const SPOKEN = /[\p{L}\p{N}]/u;
const EDGES = [8, 5, 3]; // characters at either end, by which a sentence is found when something was removed inside it

/** Finds sentences one after the other. */
export class SentenceLocator {
  readonly #text: string;
  readonly #letters: string; // the letters and digits of the text
  readonly #places: number[] = []; // of each of them in the text
  #cursor = 0; // in #letters
  #after = 0; // in the text: where the sentence before stops

  constructor(text: string) {
    this.#text = text;
    let letters = "";
    let at = 0;
    for (const each of text) {
      if (SPOKEN.test(each)) {
        letters += each;
        for (let unit = 0; unit < each.length; unit++) this.#places.push(at + unit);
      }
      at += each.length;
    }
    this.#letters = letters;
  }

  /** The place of the next sentence; null where it cannot be found, as of a text that was rewritten. */
  next(sentence: string): TextRange | null {
    const wanted = [...sentence].filter((each) => SPOKEN.test(each)).join("");
    if (!wanted) return null;
    const exact = this.#letters.indexOf(wanted, this.#cursor);
    const found = exact >= 0 ? { start: exact, stop: exact + wanted.length } : this.#byEdges(wanted);
    if (!found) return null;
    this.#cursor = found.stop;
    const start = this.#places[found.start] as number;
    const stop = (this.#places[found.stop - 1] as number) + 1;
    return this.#withMarks(start, stop);
  }

  #byEdges(wanted: string): TextRange | null {
    for (const edge of EDGES) {
      const start = this.#letters.indexOf(wanted.slice(0, edge), this.#cursor);
      const last = wanted.slice(-edge);
      const end = start < 0 ? -1 : this.#letters.indexOf(last, start + wanted.length - last.length);
      if (end >= 0) return { start, stop: end + last.length };
    }
    return null;
  }

  /** Add the marks beside a sentence: quotes and brackets before it, its full stop after it. */
  #withMarks(start: number, stop: number): TextRange {
    const isMark = (at: number) => !/[\s\p{L}\p{N}]/u.test(this.#text[at] as string);
    let [from, until] = [start, stop];
    while (until < this.#text.length && isMark(until)) until++;
    while (from > this.#after && isMark(from - 1)) from--;
    this.#after = until;
    return { start: from, stop: until };
  }
}

/** The index in `sentences` of the one that is audible; -1 before the first. */
export function audibleSentence(sentences: readonly Sentence[], seconds: number): number {
  let found = -1;
  for (let at = 0; at < sentences.length; at++) {
    if ((sentences[at] as Sentence).atSeconds <= seconds) found = at;
  }
  return found;
}
