// A text of any length as one speech: one request after the other, each within the server's limit. Knows how the requests
// follow each other; does not know playback. The next request begins once the one before has sent all of its audio, or
// earlier where its caller says that playback would wait otherwise: two are open then, and never more.
import type { SpeechSettings } from "../../../settings/settings";
import { type SpeechPart, speechParts } from "../speechRequest";
import { PartsAhead } from "./partsAhead";
import { isWithin, type TextPart, textParts } from "./textParts";

/** The most characters of one speech, about two hours: its audio has to fit in a browser's storage. */
const MOST_CHARACTERS = 100_000;

/** Of playback: when so much is left of a part, the next one is asked for. A first sound takes longer where many speak. */
const AHEAD_SECONDS = 10;

/** A server's own limit may be larger. */
export function mostCharacters(limit: number): number {
  return Math.max(limit, MOST_CHARACTERS);
}

export function isTooLong(text: string, limit: number): boolean {
  return !isWithin(text, mostCharacters(limit));
}

export type LongSpeechPart =
  | Exclude<SpeechPart, { kind: "done" }>
  | { readonly kind: "text"; readonly text: TextPart } // the next request
  | (Extract<SpeechPart, { kind: "done" }> & { readonly isLast: boolean });

/**
 * The parts of all requests, in order. `secondsLeft` says when playback will need the next request: how much of the
 * current one is to be played yet. Raises what `speechParts` raises.
 */
export async function* longSpeechParts(
  settings: SpeechSettings,
  limit: number,
  signal: AbortSignal,
  secondsLeft: () => number,
): AsyncGenerator<LongSpeechPart> {
  const leaving = new AbortController(); // an error ends the request that is ahead, too
  let isWhole = false;
  const either = AbortSignal.any([signal, leaving.signal]);
  const send = (text: TextPart) => () => speechParts({ ...settings, text: text.text }, either);
  const texts = textParts(settings.text, limit);
  let ahead: PartsAhead | null = null;
  try {
    for (const [at, text] of texts.entries()) {
      yield { kind: "text", text };
      const parts: AsyncGenerator<SpeechPart> = ahead ? ahead.inTurn() : send(text)();
      const next = texts[at + 1];
      ahead = null;
      for await (const part of parts) {
        yield part.kind === "done" ? { ...part, isLast: !next } : part;
        if (part.kind !== "audio" || !next || ahead) continue;
        if (secondsLeft() <= AHEAD_SECONDS) ahead = new PartsAhead(send(next));
      }
    }
    isWhole = true;
  } finally {
    if (!isWhole) leaving.abort();
  }
}
