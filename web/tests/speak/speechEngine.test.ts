import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LiveSource } from "../../src/speak/playback/engine/live/liveParts";
import { SpeechEngine } from "../../src/speak/playback/engine/speechEngine";
import type { FinishedSpeech } from "../../src/speak/playback/finishedSpeech";
import { DONE, delta, FakePlayer, LONG, SETTINGS, Server, start } from "./engineFakes";

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
  player.onEvent({ type: "progress", underruns: 0, waits: 0, isWaiting: false });
  expect(state()).toMatchObject({ phase: "playing", audible: 0 });
  player.positionSeconds = 0.2;
  player.onEvent({ type: "progress", underruns: 1, waits: 0, isWaiting: false });
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

test("a text that no browser could hold is refused with a fault and without a request", async () => {
  engine.speak({ ...SETTINGS, text: "a ".repeat(50_001) });
  expect(state()).toMatchObject({ phase: "failed", isArriving: false, fault: { kind: "tooLong" } });
  await new Promise((done) => setTimeout(done, 20));
  expect(server.requests).toEqual([]);
});

test("a session is connected ahead once real time is chosen", () => {
  const live = new LiveSource();
  const connect = vi.spyOn(live, "connect").mockImplementation(() => {});
  vi.spyOn(live, "prepare").mockImplementation(() => {});
  const speaking = new SpeechEngine(player, live);
  speaking.connectAhead(SETTINGS);
  expect(connect, "real time is not chosen").not.toHaveBeenCalled();
  speaking.setLive(true);
  speaking.connectAhead(LONG);
  expect(connect).toHaveBeenCalledOnce();
});

test("a text longer than a small limit comes over HTTP though real time is chosen, and says so", async () => {
  engine.requestCharacters = 40;
  engine.setLive(true);
  engine.speak(LONG);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  expect(state()).toMatchObject({ isLive: false, withoutRtc: "length" });
  engine.stop();
});
