// A player and a server for tests of the engine: the test says what arrives, and when.
import type { Clip } from "../../src/shared/audio/clip";
import type { Player } from "../../src/speak/playback/engine/speechEngine";
import { DEFAULT_SETTINGS } from "../../src/speak/settings/settings";

export const SETTINGS = { ...DEFAULT_SETTINGS, text: "First one. Second one.", model: "voxcpm-1.5" };
export const LONG = { ...SETTINGS, text: "First one is here. Second one.\n\nThird one is here. Last one." };
const PATCH = 3840; // samples of 160 ms

export class FakePlayer implements Player {
  onEvent: Player["onEvent"] = () => {};
  calls: string[] = [];
  clip: Clip | null = null;
  positionSeconds = 0;
  setVolume = () => {};
  prepare = () => this.calls.push("prepare");
  unlock = () => this.calls.push("unlock");
  grown = () => this.calls.push("grown");
  between = () => this.calls.push("between");
  finish = () => this.calls.push("finish");
  stop = () => this.calls.push("stop");
  pause = (isPaused: boolean) => this.calls.push(`pause ${isPaused}`);
  play = (clip: Clip, from: number) => {
    this.clip = clip;
    this.calls.push(`play ${from}`);
  };
}

export function delta(fields: Record<string, unknown> = {}, patches = 1): string {
  const audio = btoa(String.fromCharCode(...new Uint8Array(new Int16Array(patches * PATCH).fill(1000).buffer)));
  return `data: ${JSON.stringify({ type: "speech.audio.delta", audio, ...fields })}\n\n`;
}

export const start = (index: number, text: string, at_seconds: number) => ({
  sentence_starts: [{ index, text, at_seconds }],
});
export const DONE = `data: ${JSON.stringify({ type: "speech.audio.done", usage: {}, sentences: [] })}\n\n`;

type Sent = { body: Record<string, unknown>; signal: AbortSignal };

/** Responses whose text is sent when the test says so: that of the newest request, unless it names another. */
export class Server {
  requests: Sent[] = [];
  headers: Record<string, string> = {};
  readonly #controllers: ReadableStreamDefaultController<Uint8Array>[] = [];

  fetch = async (_path: string, init: RequestInit) => {
    this.requests.push({ body: JSON.parse(String(init.body)), signal: init.signal as AbortSignal });
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void this.#controllers.push(controller) });
    return new Response(body, { headers: this.headers });
  };

  send(text: string, request = this.requests.length - 1): void {
    this.#controllers[request]?.enqueue(new TextEncoder().encode(text));
  }

  close(request = this.requests.length - 1): void {
    this.#controllers[request]?.close();
  }
}
