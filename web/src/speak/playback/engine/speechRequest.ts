// One speech request as a sequence of parts: the head, keep-alives, audio with the sentences that start in it, the end.
// Knows the server's events (docs/speech-api.md). Does not know playback.
import { base64Bytes, PcmDecoder } from "../../../shared/audio/pcm";
import { type Comment, type ServerSentEvent, ServerSentEventParser } from "../../../shared/audio/serverSentEvents";
import { ApiError, request } from "../../../shared/http";
import { type SpeechSettings, speechBody } from "../../settings/settings";
import type { Sentence } from "../finishedSpeech";

export const SAMPLE_RATE = 24_000; // of pcm without `sample_rate`

export type SpeechPart =
  | { readonly kind: "head"; readonly region: string | null; readonly route: string | null }
  | { readonly kind: "keepAlive" }
  | { readonly kind: "audio"; readonly samples: Int16Array<ArrayBuffer>; readonly starts: readonly Sentence[] }
  | { readonly kind: "done"; readonly sentences: readonly Sentence[] };

/** The stream ended without its last event: the connection broke. */
export class BrokenOffError extends Error {}

type ServerSentence = { index: number; text: string; at_seconds: number };
type SpeechEvent = {
  type: string;
  audio?: string;
  sentence_starts?: ServerSentence[];
  sentences?: ServerSentence[];
  error?: { message?: string; param?: string | null; code?: string | null };
};

/** Send a request and yield its parts. Raises ApiError for an error response or event, BrokenOffError, or TypeError. */
export async function* speechParts(settings: SpeechSettings, signal: AbortSignal): AsyncGenerator<SpeechPart> {
  const body = { ...speechBody(settings), response_format: "pcm", stream_format: "sse" };
  const response = await request("/v1/audio/speech", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  yield head(response.headers);
  const decoder = new PcmDecoder();
  let isDone = false;
  try {
    for await (const event of events(response)) {
      if (isDone) continue; // read to the end: a response with an unread rest occupies its connection
      const part =
        event.kind === "comment" ? ({ kind: "keepAlive" } as const) : partOf(JSON.parse(event.data), decoder);
      if (part) yield part;
      isDone = part?.kind === "done";
    }
  } catch (error) {
    if (isDone) return; // everything has arrived
    throw error;
  }
  if (!isDone) throw new BrokenOffError();
}

function head(headers: Headers): SpeechPart {
  return { kind: "head", region: headers.get("Voxfleet-Region"), route: headers.get("Voxfleet-Route") };
}

/** The events and comments of a response. Left early, it closes the response. */
async function* events(response: Response): AsyncGenerator<ServerSentEvent | Comment> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new ServerSentEventParser();
  try {
    while (reader) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.feed(value);
    }
  } finally {
    reader?.cancel().catch(() => {}); // of no effect at the end; a broken stream rejects again
  }
}

function partOf(event: SpeechEvent, decoder: PcmDecoder): SpeechPart | null {
  if (event.error) {
    throw new ApiError(event.error.message ?? "", 200, event.error.param ?? null, null);
  }
  if (event.type === "speech.audio.delta") {
    const samples = decoder.decode(base64Bytes(event.audio ?? ""));
    return { kind: "audio", samples, starts: (event.sentence_starts ?? []).map(sentenceOf) };
  }
  if (event.type === "speech.audio.done") return { kind: "done", sentences: (event.sentences ?? []).map(sentenceOf) };
  return null;
}

function sentenceOf(given: ServerSentence): Sentence {
  return { index: given.index, text: given.text, atSeconds: given.at_seconds };
}
