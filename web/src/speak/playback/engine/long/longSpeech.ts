// A text of any length as one speech: one request after the other, each within the server's limit. Knows how the requests
// follow each other; does not know playback. The next request begins once the one before has sent all of its audio, which
// is ahead of playback where the server is faster than that.
import type { SpeechSettings } from "../../../settings/settings";
import { type SpeechPart, speechParts } from "../speechRequest";
import { characterCount, type TextPart, textParts } from "./textParts";

/** The most characters of one speech, about two hours: its audio has to fit in a browser's storage. */
const MOST_CHARACTERS = 100_000;

/** A server's own limit may be larger. */
export function mostCharacters(limit: number): number {
  return Math.max(limit, MOST_CHARACTERS);
}

/** Whether a text is sent in one request, in several, or in none. */
export function lengthOf(text: string, limit: number): "one" | "several" | "tooLong" {
  const characters = characterCount(text);
  if (characters <= limit) return "one";
  return characters <= mostCharacters(limit) ? "several" : "tooLong";
}

export type LongSpeechPart =
  | Exclude<SpeechPart, { kind: "done" }>
  | { readonly kind: "text"; readonly text: TextPart } // the next request
  | (Extract<SpeechPart, { kind: "done" }> & { readonly isLast: boolean });

/** The parts of all requests, in order. Raises what `speechParts` raises. */
export async function* longSpeechParts(
  settings: SpeechSettings,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<LongSpeechPart> {
  const texts = textParts(settings.text, limit);
  for (const text of texts) {
    yield { kind: "text", text };
    const isLast = text === texts.at(-1);
    for await (const part of speechParts({ ...settings, text: text.text }, signal)) {
      yield part.kind === "done" ? { ...part, isLast } : part;
    }
  }
}
