// One speech over WebRTC as a sequence of parts. The browser plays the track itself, in real time: there are no samples
// here, so no waveform, no download and no entry in the history. Knows sessions; does not know the page's state.
import { ApiError, requestJson } from "../../../../shared/http";
import type { ClientMessage, ServerMessage } from "../../../../shared/rtc/messages";
import { openRtcSession, RTC_PATH, type RtcSession } from "../../../../shared/rtc/session";
import type { SpeechSettings } from "../../../settings/settings";
import type { Sentence } from "../../finishedSpeech";
import { BrokenOffError } from "../speechRequest";
import {
  ConnectionAhead,
  connectLive,
  type LiveConnection,
  NoRtcError,
  type OpenSession,
  startOf,
} from "./liveConnection";
import { LiveText } from "./liveText";

export type LivePart =
  | { readonly kind: "head" }
  | { readonly kind: "sentence"; readonly sentence: Sentence }
  | { readonly kind: "playing"; readonly audible: number; readonly concealed: number }
  | { readonly kind: "done" };

export type LiveOptions = {
  readonly signal: AbortSignal;
  readonly limit: number; // characters that may wait at the server
  /** Play the stream; returns what ends that. */
  readonly play: (stream: MediaStream) => () => void;
  readonly open?: OpenSession;
  readonly ahead?: ConnectionAhead; // where a session may be connected already
  readonly connectMilliseconds?: number;
};

const CONNECT_MILLISECONDS = 5000; // ICE and DTLS take a few round trips where UDP passes
const TICK_MILLISECONDS = 20; // of a packet

/** Raises NoRtcError before the first sound, ApiError, BrokenOffError, or TypeError. */
export async function* liveParts(settings: SpeechSettings, options: LiveOptions): AsyncGenerator<LivePart> {
  const text = new LiveText(settings.text, options.limit);
  const connection = await connected(settings, text, options);
  const { session } = connection;
  const stopPlaying = options.play(session.stream);
  options.signal.addEventListener("abort", () => session.close());
  try {
    yield { kind: "head" };
    yield* playedParts(connection, text, options);
  } finally {
    stopPlaying();
    session.close();
  }
}

async function connected(settings: SpeechSettings, text: LiveText, options: LiveOptions): Promise<LiveConnection> {
  const waiting = await options.ahead?.take(settings);
  if (waiting) {
    append(waiting.session, text);
    return waiting;
  }
  const offered: ClientMessage[] = [startOf(settings, text.next() ?? "")];
  if (text.isSent) offered.push({ type: "session.end" });
  return connectLive(offered, { signal: options.signal }, options.open);
}

/** Send what the server takes now; after the last piece, that nothing follows. */
function append(session: RtcSession, text: LiveText): void {
  if (text.isSent) return;
  for (let piece = text.next(); piece !== null; piece = text.next()) session.append(piece);
  if (text.isSent) session.end();
}

async function* playedParts(
  { session, messages, link }: LiveConnection,
  text: LiveText,
  options: LiveOptions,
): AsyncGenerator<LivePart> {
  const limit = performance.now() + (options.connectMilliseconds ?? CONNECT_MILLISECONDS);
  while (!options.signal.aborted) {
    for (const message of messages.splice(0)) {
      const part = partOf(message);
      if (part) yield part;
      if (part?.kind === "done") return;
      if (part?.kind === "sentence") text.spoken(part.sentence.text);
    }
    append(session, text);
    const { state, wasConnected } = link;
    if (!wasConnected && (state === "failed" || performance.now() > limit)) throw new NoRtcError("network");
    if (wasConnected && (state === "failed" || state === "closed")) throw new BrokenOffError();
    const playing = session.playing();
    if (playing) yield { kind: "playing", audible: playing.index, concealed: await session.concealments() };
    await new Promise((done) => setTimeout(done, TICK_MILLISECONDS));
  }
}

function partOf(message: ServerMessage): LivePart | null {
  if (message.type === "error") {
    const { error, retry_after_seconds } = message;
    const field = error.param === "text" ? "input" : error.param; // the page has one text, whatever message it came in
    throw new ApiError(error.message, 200, field, retry_after_seconds ?? null);
  }
  if (message.type === "session.done") return { kind: "done" };
  if (message.type !== "sentence.started") return null;
  return {
    kind: "sentence",
    sentence: { index: message.index, text: message.text, atSeconds: message.at_seconds },
  };
}

/** Where the engine gets speech over WebRTC, with the element that plays it. */
export class LiveSource {
  readonly #open: OpenSession = async (options) => {
    if (typeof RTCPeerConnection === "undefined") throw new NoRtcError("browser");
    return openRtcSession({ ...options, iceServers: await this.#iceServers });
  };
  readonly #ahead = new ConnectionAhead(this.#open);
  #iceServers: Promise<RTCIceServer[]> = Promise.resolve([]); // a connection without them may find no way
  #volume = 1;
  #element: HTMLAudioElement | null = null;

  parts(settings: SpeechSettings, limit: number, signal: AbortSignal): AsyncGenerator<LivePart> {
    return liveParts(settings, { signal, limit, play: this.#play, open: this.#open, ahead: this.#ahead });
  }

  /** Let the server load what it needs, which takes it half a second at the first offer, and say its ICE servers. */
  prepare(): void {
    this.#iceServers = requestJson<{ ice_servers: RTCIceServer[] }>(RTC_PATH).then(
      ({ ice_servers }) => ice_servers,
      () => [], // an offer has the same answer, and says so
    );
  }

  /** Connect for a speech that is likely soon, and start the browser's output, which plays silence until then. */
  connect(settings: SpeechSettings): void {
    this.#ahead
      .prepare(settings)
      .then((connection) => {
        if (this.#ahead.holds(connection)) this.#play(connection.session.stream); // not in place of a later one
      })
      .catch(() => undefined); // the speech itself says why
  }

  /** End what is connected ahead. */
  disconnect(): void {
    this.#ahead.drop();
  }

  setVolume(volume: number): void {
    this.#volume = volume;
    if (this.#element) this.#element.volume = volume;
  }

  readonly #play: LiveOptions["play"] = (stream) => {
    this.#element ??= new Audio();
    this.#element.volume = this.#volume;
    if (this.#element.srcObject !== stream) this.#element.srcObject = stream;
    void this.#element.play().catch(() => undefined); // stopped before it began, or ahead of a page's first click
    return () => {
      if (this.#element?.srcObject === stream) this.#element.srcObject = null;
    };
  };
}
