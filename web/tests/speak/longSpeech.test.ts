import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SpeechEngine } from "../../src/speak/playback/engine/speechEngine";
import type { FinishedSpeech } from "../../src/speak/playback/finishedSpeech";
import { DONE, delta, FakePlayer, LONG, Server, start } from "./engineFakes";

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

test("a long text is one speech of several requests, the next one after all audio of the former", async () => {
  player.positionSeconds = -60; // much is left to be played
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
  await new Promise((done) => setTimeout(done, 20));
  expect(
    server.requests.map(({ signal }) => signal.aborted),
    "responses that have ended are left alone",
  ).toEqual([false, false]);
});

test("an error in a later part keeps what has been spoken and is shown with its time to wait", async () => {
  player.positionSeconds = -60;
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
  player.positionSeconds = -60;
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

/** A long speech whose first request has sent two seconds, which end its part. */
async function begun(): Promise<void> {
  engine.requestCharacters = 40;
  engine.speak(LONG);
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  server.send(delta(start(0, "First one is here.", 0)));
  await vi.waitFor(() => expect(state().sentences).toHaveLength(1));
  player.onEvent({ type: "started", atMilliseconds: performance.now() });
}

test("the next request is sent ahead where playback would wait for it, and its audio follows in order", async () => {
  await begun();
  await vi.waitFor(() => expect(server.requests, "less than ten seconds are left").toHaveLength(2));
  server.send(delta(start(0, "Third one is here.", 0)) + DONE, 1);
  server.close(1);
  server.send(delta(start(1, "Second one.", 0.16)), 0);
  await vi.waitFor(() => expect(state().sentences).toHaveLength(2));
  server.send(DONE, 0);
  server.close(0);
  await vi.waitFor(() => expect(finished).toHaveLength(1));
  expect(finished[0]?.sentences.map(({ text }) => text)).toEqual([
    "First one is here.",
    "Second one.",
    "Third one is here.",
  ]);
  expect(server.requests).toHaveLength(2);
});

test("no request is sent ahead while much is left to be played", async () => {
  player.positionSeconds = -60;
  await begun();
  server.send(delta(start(1, "Second one.", 0.16)));
  await vi.waitFor(() => expect(state().sentences).toHaveLength(2));
  await new Promise((done) => setTimeout(done, 20));
  expect(server.requests).toHaveLength(1);
});

test("a request that was refused ahead of its turn is sent anew in its turn", async () => {
  let count = 0;
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    if (++count !== 2) return server.fetch(path, init);
    return Response.json({ error: { message: "one request at a time" } }, { status: 429 });
  });
  await begun();
  await vi.waitFor(() => expect(count).toBe(2));
  expect(state().fault).toBeNull();
  server.send(DONE);
  server.close();
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  server.send(delta() + DONE);
  await vi.waitFor(() => expect(finished).toMatchObject([{ isComplete: true }]));
});

test("an error ends the request that is ahead, too", async () => {
  await begun();
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  server.close(0);
  await vi.waitFor(() => expect(state().fault).toMatchObject({ kind: "brokenOff" }));
  expect(server.requests[1]?.signal.aborted).toBe(true);
});

test("a silence between two parts is a wait for the next one, also after another place was chosen", async () => {
  player.positionSeconds = -60;
  await begun();
  server.send(DONE);
  expect(player.calls).not.toContain("between");
  server.close();
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  expect(player.calls.at(-1)).toBe("between");
  player.onEvent({ type: "progress", underruns: 0, waits: 1, isWaiting: true });
  expect(state()).toMatchObject({ underruns: 0, waits: 1 });
  expect(state().waitingSince).toBeGreaterThan(0);
  engine.seek(0);
  expect(player.calls.slice(-2)).toEqual(["play 0", "between"]);
  player.onEvent({ type: "progress", underruns: 0, waits: 1, isWaiting: true });
  expect(state().waits).toBe(2);
  server.send(": keep-alive\n\n");
  await vi.waitFor(() => expect(state().isHeld).toBe(true));
  server.send(delta());
  await vi.waitFor(() => expect(player.calls.at(-1)).toBe("grown"));
  player.onEvent({ type: "progress", underruns: 0, waits: 1, isWaiting: false });
  expect(state()).toMatchObject({ waitingSince: null, isHeld: false });
});
