// The messages of a session, as docs/speech-api.md lists them, and which sentence is playing.
// Knows no connection: the same messages come over a WebSocket and over a WebRTC data channel.

export interface StartFields {
  model: string;
  voice?: string;
  seed?: number;
  speed?: number;
  cfg_value?: number;
  inference_timesteps?: number;
  normalize?: boolean;
}

export type ClientMessage =
  | ({ type: "session.start"; input?: string } & StartFields)
  | { type: "text.append"; text: string }
  | { type: "text.flush" }
  | { type: "cancel" }
  | { type: "session.end" };

export interface SentenceStarted {
  type: "sentence.started";
  index: number;
  text: string;
  /** Speech before it, in seconds, without the silence of pauses in the stream. */
  at_seconds: number;
  /** Where it begins on the track, in seconds since its first packet. */
  media_seconds?: number;
  /** The RTP time stamp of its first packet. */
  rtp_timestamp?: number;
}

export type ServerMessage =
  | { type: "session.started"; session_id: string; seed: number; response_format: string; sample_rate: number }
  | SentenceStarted
  | { type: "cancelled"; at_seconds: number }
  | { type: "session.done"; usage: { input_tokens: number; output_tokens: number; total_tokens: number } }
  | {
      type: "error";
      error: { message: string; type: string; param: string | null; code: string | null };
      retry_after_seconds?: number;
    };

const KNOWN = new Set(["session.started", "sentence.started", "cancelled", "session.done", "error"]);
const WRAP = 2 ** 32;

/** Parse a text of the data channel; null for what a newer server may send beside the known messages. */
export function parseServerMessage(text: string): ServerMessage | null {
  const message: unknown = JSON.parse(text);
  if (typeof message !== "object" || message === null || !("type" in message)) return null;
  return KNOWN.has(String(message.type)) ? (message as ServerMessage) : null;
}

/** Whether an RTP time stamp has reached another one; they wrap around after 2^32 samples (a day at 48 kHz). */
export function hasReached(current: number, target: number): boolean {
  return (current - target + WRAP) % WRAP < WRAP / 2;
}

/** The sentence whose audio is playing: the last one whose first packet has been played. */
export function playingSentence(started: readonly SentenceStarted[], rtpTimestamp: number): SentenceStarted | null {
  for (let at = started.length - 1; at >= 0; at--) {
    const sentence = started[at];
    if (sentence?.rtp_timestamp !== undefined && hasReached(rtpTimestamp, sentence.rtp_timestamp)) return sentence;
  }
  return null;
}
