// A text of any length for one session, piece by piece: a server takes so many characters that wait to be spoken, and a
// data channel so many bytes in a message. Pure: knows what was sent and what was spoken, no session.
import { isWithin, textParts } from "../long/textParts";
import { SentenceLocator } from "../sentences";

const MESSAGE_CHARACTERS = 8192; // of at most four bytes each, within the 64 KiB of a message
const LEAST_LIMIT = 1024; // two pieces hold a whole sentence then: a server speaks no part of one

/** Whether a session of a server with this limit can speak a text. */
export function fitsSession(text: string, limit: number): boolean {
  return limit >= LEAST_LIMIT || isWithin(text, limit);
}

export class LiveText {
  readonly #pieces: readonly { readonly text: string; readonly end: number }[]; // where each ends in the text
  readonly #limit: number;
  readonly #locator: SentenceLocator | null;
  #sent = 0;
  #spokenUntil = 0;

  constructor(text: string, limit: number) {
    this.#limit = limit;
    const isOne = isWithin(text, Math.min(limit, MESSAGE_CHARACTERS));
    const most = Math.min(Math.floor(limit / 2), MESSAGE_CHARACTERS);
    const parts = isOne ? [{ start: 0, text }] : textParts(text, most);
    this.#pieces = parts.map((part) => ({ text: part.text, end: part.start + part.text.length }));
    this.#locator = isOne ? null : new SentenceLocator(text);
  }

  get isSent(): boolean {
    return this.#sent === this.#pieces.length;
  }

  /** The next piece, which is sent then; null while the server would not take it. */
  next(): string | null {
    const piece = this.#pieces[this.#sent];
    if (!piece || (this.#sent > 0 && piece.end - this.#spokenUntil > this.#limit)) return null;
    this.#sent++;
    return piece.text;
  }

  /** The server has begun to speak a sentence: it no longer waits, nor what is before it. */
  spoken(sentence: string): void {
    if (this.#locator) this.#spokenUntil = this.#locator.next(sentence)?.stop ?? this.#spokenUntil + sentence.length;
  }
}
