import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Clip } from "../../src/shared/audio/clip";
import { LiveSource } from "../../src/speak/playback/engine/live/liveParts";
import { type Player, SpeechEngine } from "../../src/speak/playback/engine/speechEngine";
import type { FinishedSpeech } from "../../src/speak/playback/finishedSpeech";
import { DEFAULT_SETTINGS } from "../../src/speak/settings/settings";

const SETTINGS = { ...DEFAULT_SETTINGS, text: "First one. Second one.", model: "voxcpm-1.5" };
const PATCH = 3840; // samples of 160 ms

class FakePlayer implements Player {
  onEvent: Player["onEvent"] = () => {};
  calls: string[] = [];
  clip: Clip | null = null;
  positionSeconds = 0;
  setVolume = () => {};
  prepare = () => this.calls.push("prepare");
  unlock = () => this.calls.push("unlock");
  grown = () => this.calls.push("grown");
  finish = () => this.calls.push("finish");
  stop = () => this.calls.push("stop");
  pause = (isPaused: boolean) => this.calls.push(`pause ${isPaused}`);
  play = (clip: Clip, from: number) => {
    this.clip = clip;
    this.calls.push(`play ${from}`);
  };
}

function delta(fields: Record<string, unknown> = {}): string {
  const audio = btoa(String.fromCharCode(...new Uint8Array(new Int16Array(PATCH).fill(1000).buffer)));
  return `data: ${JSON.stringify({ type: "speech.audio.delta", audio, ...fields })}\n\n`;
}

const start = (index: number, text: string, at_seconds: number) => ({ sentence_starts: [{ index, text, at_seconds }] });
const DONE = `data: ${JSON.stringify({ type: "speech.audio.done", usage: {}, sentences: [] })}\n\n`;

/** A response whose text is sent when the test says so. */
class Server {
  requests: { body: Record<string, unknown>; signal: AbortSignal }[] = [];
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  headers: Record<string, string> = {};

  fetch = async (_path: string, init: RequestInit) => {
    this.requests.push({ body: JSON.parse(String(init.body)), signal: init.signal as AbortSignal });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
    });
    return new Response(body, { headers: this.headers });
  };

  send(text: string): void {
    this.#controller.enqueue(new TextEncoder().encode(text));
  }

  close(): void {
    this.#controller.close();
  }
}

let server: Server;
let player: FakePlayer;
let engine: SpeechEngine;
let finished: FinishedSpeech[];

beforeEach(() => {
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  server = new Server();
  vi.stubGlobal("fetch", server.fetch);
  player = new FakePlayer();
  engine = new SpeechEngine(player);
  finished = [];
  engine.onFinished = (speech) => finished.push(speech);
});

afterEach(() => vi.unstubAllGlobals());

const state = () => engine.state();

test("audio is played as it arrives, and sentences are marked as they are played", async () => {
  server.headers = { "Voxfleet-Region": "eu-west", "Voxfleet-Route": "nearest" };
  engine.speak(SETTINGS);
  expect(player.calls, "in the click itself").toEqual(["unlock"]);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  expect(server.requests[0]?.body).toMatchObject({ response_format: "pcm", stream_format: "sse", model: "voxcpm-1.5" });
  server.send(delta(start(0, "First one.", 0)) + delta(start(1, "Second one.", 0.16)));
  await vi.waitFor(() => expect(state().sentences).toHaveLength(2));
  expect(player.calls).toContain("play 0");
  expect(state()).toMatchObject({ phase: "waiting", region: "eu-west", route: "nearest", audible: -1 });
  player.onEvent({ type: "started", atMilliseconds: performance.now() });
  player.onEvent({ type: "progress", underruns: 0 });
  expect(state()).toMatchObject({ phase: "playing", audible: 0 });
  player.positionSeconds = 0.2;
  player.onEvent({ type: "progress", underruns: 1 });
  expect(state()).toMatchObject({ audible: 1, underruns: 1 });
  const range = state().ranges[1];
  expect(SETTINGS.text.slice(range?.start, range?.stop)).toBe("Second one.");
  server.send(DONE);
  await vi.waitFor(() => expect(finished).toHaveLength(1));
  expect(finished[0]).toMatchObject({ isComplete: true, durationSeconds: 0.32, region: "eu-west" });
  expect(finished[0]?.seed).toBe(server.requests[0]?.body.seed);
  player.onEvent({ type: "ended" });
  expect(state()).toMatchObject({ phase: "ended", audible: -1 });
});

test("a stop is silent at once, ends the request, and keeps what has arrived", async () => {
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta());
  await vi.waitFor(() => expect(player.calls).toContain("play 0"));
  engine.stop();
  expect(player.calls.at(-2)).toBe("stop");
  expect(server.requests[0]?.signal.aborted).toBe(true);
  expect(state()).toMatchObject({ phase: "ended", fault: null, isArriving: false });
  expect(finished).toMatchObject([{ isComplete: false, durationSeconds: 0.16 }]);
  engine.resume();
  expect(player.calls.at(-1)).toBe("play 0");
});

test("a stop before any audio leaves nothing behind", async () => {
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  engine.stop();
  expect(state().phase).toBe("idle");
  expect(finished).toEqual([]);
});

test("speaking anew drops the speech before, whose late parts change nothing", async () => {
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  engine.speak({ ...SETTINGS, text: "Another." });
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  expect(server.requests[0]?.signal.aborted).toBe(true);
  server.send(delta(start(0, "Another.", 0)) + DONE);
  await vi.waitFor(() => expect(finished).toHaveLength(1));
  expect(state()).toMatchObject({ text: "Another.", sentences: [{ text: "Another." }] });
});

test("a held request says so until its audio comes", async () => {
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(": keep-alive\n\n");
  await vi.waitFor(() => expect(state().isHeld).toBe(true));
  server.send(delta());
  await vi.waitFor(() => expect(state().isHeld).toBe(false));
});

test("an error response is shown with its field and its time to wait", async () => {
  const error = { error: { message: "region eu-west is waking", param: "model", type: "server_error" } };
  vi.stubGlobal("fetch", async () => Response.json(error, { status: 503, headers: { "Retry-After": "7" } }));
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(state().phase).toBe("failed"));
  expect(state().fault).toMatchObject({ kind: "response", message: "region eu-west is waking", field: "model" });
  expect((state().fault?.retryAt ?? 0) - Date.now()).toBeGreaterThan(6000);
});

test.each([
  ["an error event", `event: error\ndata: {"type": "error", "error": {"message": "the engine failed"}}\n\n`, "rest"],
  ["an end without the last event", "", "brokenOff"],
])("after %s, what has arrived is played and can be played again", async (_, text, kind) => {
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta() + text);
  server.close();
  await vi.waitFor(() => expect(state().fault).toMatchObject({ kind }));
  expect(player.calls).toContain("play 0");
  expect(player.calls.at(-1)).toBe("finish");
  expect(state().phase).not.toBe("failed");
  expect(finished).toMatchObject([{ isComplete: false }]);
});

test("a browser that starts no output keeps what arrives, and its fault ends with the first sound", async () => {
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta());
  await vi.waitFor(() => expect(player.calls).toContain("play 0"));
  player.onEvent({ type: "silent" });
  expect(state()).toMatchObject({ phase: "waiting", isArriving: true, fault: { kind: "silent" } });
  server.send(DONE);
  await vi.waitFor(() => expect(finished).toMatchObject([{ isComplete: true }]));
  expect(state()).toMatchObject({ phase: "waiting", fault: { kind: "silent" } });
  player.onEvent({ type: "started", atMilliseconds: performance.now() });
  expect(state()).toMatchObject({ phase: "playing", fault: null });
});

test("a server that cannot be reached, and a browser without output, are faults", async () => {
  vi.stubGlobal("fetch", async () => {
    throw new TypeError("Failed to fetch");
  });
  engine.speak(SETTINGS);
  await vi.waitFor(() => expect(state().fault).toMatchObject({ kind: "noConnection" }));
  engine.speak(SETTINGS);
  player.onEvent({ type: "failed", message: "no device" });
  expect(state()).toMatchObject({ phase: "failed", fault: { kind: "noSound" } });
});

const LONG = { ...SETTINGS, text: "First one is here. Second one.\n\nThird one is here. Last one." };

test("a long text is one speech of several requests, the next one after all audio of the former", async () => {
  engine.requestCharacters = 40;
  server.headers = { "Voxfleet-Region": "eu-west" };
  engine.speak({ ...LONG, seed: null, speed: 2 });
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta(start(0, "First one is here.", 0)) + delta(start(1, "Second one.", 0.16)));
  await vi.waitFor(() => expect(state().sentences).toHaveLength(2));
  server.send(DONE);
  await new Promise((done) => setTimeout(done, 20));
  expect(server.requests, "the former response has not ended").toHaveLength(1);
  const { moments } = state();
  server.headers = { "Voxfleet-Region": "us-east" };
  server.close();
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  expect(server.requests.map(({ body }) => body.input)).toEqual([LONG.text.slice(0, 30), LONG.text.slice(30)]);
  expect(server.requests[1]?.body.seed).toBe(server.requests[0]?.body.seed);
  expect(finished, "not before the last part").toEqual([]);
  const late = [
    { index: 0, text: "Third one is here.", at_seconds: 0 },
    { index: 1, text: "Last one.", at_seconds: 0.1 },
  ];
  server.send(`${delta()}data: ${JSON.stringify({ type: "speech.audio.done", usage: {}, sentences: late })}\n\n`);
  server.close();
  await vi.waitFor(() => expect(finished).toHaveLength(1));
  const pause = 0.8 / 2; // of a paragraph, at twice the speed
  expect(finished[0]).toMatchObject({ isComplete: true, region: "eu-west", settings: { text: LONG.text } });
  expect(finished[0]?.durationSeconds).toBeCloseTo(0.48 + pause);
  expect(finished[0]?.sentences.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  expect(finished[0]?.sentences[2]?.atSeconds).toBeCloseTo(0.32 + pause);
  expect(finished[0]?.sentences[3]?.atSeconds).toBeCloseTo(0.42 + pause);
  const marked = state().ranges.map((range) => LONG.text.slice(range?.start, range?.stop));
  expect(marked).toEqual(["First one is here.", "Second one.", "Third one is here.", "Last one."]);
  expect(state().moments, "figures are of the first part").toEqual(moments);
  expect(
    player.calls.filter((call) => call.startsWith("play")),
    "one clip",
  ).toEqual(["play 0"]);
  expect(player.calls.filter((call) => call === "finish")).toHaveLength(1);
});

test("an error in a later part keeps what has been spoken and is shown with its time to wait", async () => {
  engine.requestCharacters = 40;
  engine.speak(LONG);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta(start(0, "First one is here.", 0)) + DONE);
  const error = { error: { message: "too many requests", param: null, type: "rate_limit" } };
  vi.stubGlobal("fetch", async () => Response.json(error, { status: 429, headers: { "Retry-After": "7" } }));
  server.close();
  await vi.waitFor(() => expect(state().fault).not.toBeNull());
  expect(state().fault).toMatchObject({ kind: "rest", message: "too many requests" });
  expect(state().fault?.retryAt).toBeGreaterThan(Date.now());
  expect(state().phase, "what has arrived is played to its end").toBe("waiting");
  expect(finished).toMatchObject([{ isComplete: false }]);
});

test("a stop in a later part ends its request and sends no other", async () => {
  engine.requestCharacters = 20;
  engine.speak(LONG);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta() + DONE);
  server.close();
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  engine.stop();
  expect(server.requests[1]?.signal.aborted).toBe(true);
  await new Promise((done) => setTimeout(done, 20));
  expect(server.requests).toHaveLength(2);
  expect(finished).toMatchObject([{ isComplete: false }]);
});

test("a text that no browser could hold is refused with a fault and without a request", async () => {
  engine.speak({ ...SETTINGS, text: "a ".repeat(50_001) });
  expect(state()).toMatchObject({ phase: "failed", isArriving: false, fault: { kind: "tooLong" } });
  await new Promise((done) => setTimeout(done, 20));
  expect(server.requests).toEqual([]);
});

test("a text that is longer than a real-time session takes comes over HTTP, and says so", async () => {
  engine.requestCharacters = 40;
  engine.setLive(true);
  engine.speak(LONG);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  expect(state()).toMatchObject({ isLive: false, withoutRtc: "length" });
  engine.stop();
});

test("no session is connected ahead for a text that will come over HTTP", () => {
  const live = new LiveSource();
  const connect = vi.spyOn(live, "connect").mockImplementation(() => {});
  const speaking = new SpeechEngine(player, live);
  speaking.requestCharacters = 40;
  speaking.setLive(true);
  speaking.connectAhead(LONG);
  expect(connect).not.toHaveBeenCalled();
  speaking.connectAhead(SETTINGS);
  expect(connect).toHaveBeenCalledOnce();
});
