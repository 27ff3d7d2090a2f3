// Splits a text into parts that a server takes: at a paragraph, else a sentence, a clause, a word. Pure.
// Knows the server's count (code points), what it refuses (no letter or digit), and its pauses after sentences. Does not
// know requests.

/** One part: where it starts in the text, and the silence before it, which a server makes within one request only. */
export type TextPart = { readonly start: number; readonly text: string; readonly pauseSeconds: number };

const SHARE = 0.75; // of a rest that fits in two parts: the last part is then no stub
const AHEAD = 256; // code units after the window in which a mark that begins in it ends

const PARAGRAPH = /\r?\n[^\S\n]*\n/gu;
const SENTENCE = /(?<![.!?…])[.!?…]+["'”’»)\]]*(?=\s)|[。！？…]+[”’」』》）"']*/gu;
const CLAUSE = /[,;:，、；：](?=\s|\p{Script=Han})|(?=\n)/gu;
const WORD = /(?<=\S)(?=\s)/gu;
/** Pause marks and tags, as the server reads them (docs/speech-api.md). */
const MARK = /\[pause(?:[:=\s][^\]\n]{0,20})?\]|<\/?[a-z!][^<>\n]{0,200}>/giu;
const PAUSES_AT_END = /(?:\s|\[pause[^\]\n]{0,20}\]|<break\b[^<>\n]{0,200}>)+$/iu;
const BLANK_LETTERS = /[\u115f\u1160\u3164\uffa0]/gu; // fillers of Hangul: letters that show nothing
const WORDS = new Intl.Segmenter(undefined, { granularity: "word" });
const SPEECH = /[\p{L}\p{N}]/u;

const PARAGRAPH_SECONDS = 0.8;
const SENTENCE_SECONDS = 0.2;

/** The length of a text as the server counts it. */
export function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Whether a text has at most so many characters; reads the text only where its length alone does not say it. */
export function isWithin(text: string, limit: number): boolean {
  if (text.length <= limit) return true;
  return text.length <= 2 * limit && characterCount(text) <= limit; // a character has one or two UTF-16 units
}

/** The parts in their order; stretches of a whole part without anything to speak are left out. */
export function textParts(text: string, limit: number): TextPart[] {
  const parts: TextPart[] = [];
  let [at, left] = [0, characterCount(text)];
  while (at < text.length) {
    const stop = left <= limit ? text.length : cutWithin(text, at, Math.min(limit, Math.ceil(left * SHARE)));
    const part = text.slice(at, stop);
    if (hasSpeech(part)) parts.push({ start: at, text: part, pauseSeconds: parts.length ? pauseAt(text, at) : 0 });
    left -= characterCount(part);
    at = stop;
  }
  return parts.length ? parts : [{ start: 0, text, pauseSeconds: 0 }]; // the server says what is wrong with it
}

/** Where the next cut may be: code units of the text, and the marks that begin there. */
type Window = {
  readonly text: string;
  readonly at: number;
  readonly end: number;
  readonly marks: readonly { readonly start: number; readonly stop: number }[];
};

/** The end of a part that starts at `at` and has at most `limit` characters; later than `at`. */
function cutWithin(text: string, at: number, limit: number): number {
  const end = afterCharacters(text, at, limit);
  const found = text.slice(at, end + AHEAD).matchAll(MARK);
  const marks = [...found].map(({ index, 0: mark }) => ({ start: at + index, stop: at + index + mark.length }));
  const window = { text, at, end, marks };
  for (const bound of [PARAGRAPH, SENTENCE, CLAUSE, WORD]) {
    const cut = lastBound(window, bound);
    if (cut !== null) return beforePauses(text, at, cut);
  }
  return withinWords(window);
}

/** Where the last of the bounds is, in the second half of the window and in no mark. */
function lastBound(window: Window, bound: RegExp): number | null {
  const { text, at, end } = window;
  let last: number | null = null;
  for (const { index, 0: found } of text.slice(at, end + AHEAD).matchAll(bound)) {
    const cut = at + (/^\s/u.test(found) ? index : index + found.length); // white space begins the next part
    if (cut > at + (end - at) / 2 && cut <= end && !markAround(window, cut)) last = cut;
  }
  return last;
}

/** A text without white space, as Chinese without punctuation: between its words as the browser finds them. */
function withinWords(window: Window): number {
  const { text, at, end } = window;
  const from = Math.max(at, end - AHEAD);
  const words = [...WORDS.segment(text.slice(from, end + AHEAD))];
  const cuts = words.map(({ index }) => from + index).filter((cut) => cut > from && cut <= end);
  return cuts.findLast((cut) => !markAround(window, cut)) ?? outside(window);
}

/** The end of the window, or the start of the mark that it would cut; a mark that is longer than a part is cut. */
function outside(window: Window): number {
  const start = markAround(window, window.end)?.start ?? window.end;
  return start > window.at ? start : window.end;
}

function markAround({ marks }: Window, cut: number) {
  return marks.find(({ start, stop }) => cut > start && cut < stop);
}

/** Before the pauses at the end of a part, where the server drops them: they begin the next one. */
function beforePauses(text: string, at: number, cut: number): number {
  const part = text.slice(at, cut);
  const tail = PAUSES_AT_END.exec(part.slice(-2 * AHEAD))?.[0].length ?? 0;
  return hasSpeech(part.slice(0, part.length - tail)) ? cut - tail : cut;
}

function hasSpeech(text: string): boolean {
  return SPEECH.test(text.replace(MARK, " ").replace(BLANK_LETTERS, ""));
}

/** The silence before a part: of a paragraph or a sentence that ended, unless the text asks for one. */
function pauseAt(text: string, at: number): number {
  if (/^\s*(\[pause|<break)/iu.test(text.slice(at, at + AHEAD))) return 0;
  if (/^\s*\n\s*\n/u.test(text.slice(at, at + AHEAD))) return PARAGRAPH_SECONDS;
  return /[.!?…。！？]["'”’»)\]」』》）]*$/u.test(text.slice(Math.max(0, at - 8), at)) ? SENTENCE_SECONDS : 0;
}

/** The place after some characters; between the halves of no surrogate pair. */
function afterCharacters(text: string, at: number, count: number): number {
  let end = at;
  for (let left = count; left > 0 && end < text.length; left--)
    end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1;
  return end;
}
