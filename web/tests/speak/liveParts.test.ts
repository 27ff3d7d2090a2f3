import { beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../../src/shared/http";
import type { ServerMessage } from "../../src/shared/rtc/messages";
import type { RtcOptions, RtcSession } from "../../src/shared/rtc/session";
import { ConnectionAhead, NoRtcError } from "../../src/speak/playback/engine/live/liveConnection";
import { type LivePart, LiveSource, liveParts } from "../../src/speak/playback/engine/live/liveParts";
import { BrokenOffError } from "../../src/speak/playback/engine/speechRequest";
import { DEFAULT_SETTINGS } from "../../src/speak/settings/settings";

const SETTINGS = { ...DEFAULT_SETTINGS, text: "One.", model: "voxcpm-1.5", speed: 1.5 };
const SENTENCE = "A sentence of some words, which is as long as those of a book.";
const STARTED = { type: "sentence.started", index: 0, text: "One.", at_seconds: 0 } as const;
const DONE: ServerMessage = {
  type: "session.done",
  usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
};

let options: RtcOptions | null;
let calls: string[];
let playing: typeof STARTED | null;

const session = {
  stream: {},
  playing: () => playing,
  concealments: async () => 3,
  append: (text: string) => calls.push(`append ${text}`),
  end: () => calls.push("end"),
  close: () => calls.push("close"),
} as unknown as RtcSession;

function parts(open: (given: RtcOptions) => Promise<RtcSession>, connectMilliseconds = 60_000) {
  const play = () => {
    calls.push("play");
    return () => calls.push("silent");
  };
  return liveParts(SETTINGS, { signal: new AbortController().signal, limit: 4096, play, open, connectMilliseconds });
}

async function opened(given: RtcOptions): Promise<RtcSession> {
  options = given;
  return session;
}

async function rest(generator: AsyncGenerator<LivePart>): Promise<LivePart[]> {
  const all: LivePart[] = [];
  for await (const part of generator) all.push(part);
  return all;
}

beforeEach(() => {
  options = null;
  calls = [];
  playing = null;
});

test("a speech is its head, its sentences, what is playing, and its end", async () => {
  const generator = parts(opened);
  expect((await generator.next()).value).toEqual({ kind: "head" });
  expect(options?.messages).toEqual([
    expect.objectContaining({ type: "session.start", input: "One.", model: "voxcpm-1.5", speed: 1.5 }),
    { type: "session.end" },
  ]);
  options?.events?.message?.(STARTED);
  const sentence = { index: 0, text: "One.", atSeconds: 0 };
  expect((await generator.next()).value).toEqual({ kind: "sentence", sentence });
  playing = STARTED;
  expect((await generator.next()).value).toEqual({ kind: "playing", audible: 0, concealed: 3 });
  options?.events?.message?.(DONE);
  expect(await rest(generator)).toEqual([{ kind: "done" }]);
  expect(calls).toEqual(["play", "silent", "close"]);
});

test.each([404, 405, 501])("a status of %d means that the server has no WebRTC", async (status) => {
  const refused = parts(async () => Promise.reject(new ApiError("no", status, null, null)));
  await expect(rest(refused)).rejects.toEqual(new NoRtcError("server"));
});

test("another error response is one of the speech", async () => {
  const refused = parts(async () => Promise.reject(new ApiError("no such voice", 400, "voice", null)));
  await expect(rest(refused)).rejects.toBeInstanceOf(ApiError);
});

test("a connection that does not come about is a matter of the network", async () => {
  await expect(rest(parts(opened, 0))).rejects.toEqual(new NoRtcError("network"));
  const failing = parts(opened);
  await failing.next();
  options?.events?.state?.("failed");
  await expect(rest(failing)).rejects.toEqual(new NoRtcError("network"));
  expect(calls.slice(-2)).toEqual(["silent", "close"]);
});

test("a connection that is lost later breaks the speech off", async () => {
  const generator = parts(opened);
  await generator.next();
  options?.events?.state?.("connected");
  options?.events?.message?.(STARTED);
  await generator.next();
  options?.events?.state?.("failed");
  await expect(rest(generator)).rejects.toBeInstanceOf(BrokenOffError);
});

test.each([
  ["input", "input"],
  ["text", "input"],
  ["voice", "voice"],
  [null, null],
])("an error message about %s is raised about the page's %s", async (param, field) => {
  const generator = parts(opened);
  await generator.next();
  const error = { message: "too long", type: "invalid_request_error", param, code: null };
  options?.events?.message?.({ type: "error", error });
  await expect(rest(generator)).rejects.toMatchObject({ message: "too long", field });
});

test("a session that is connected ahead gets its text over the data channel", async () => {
  const ahead = new ConnectionAhead(opened);
  await ahead.prepare(SETTINGS);
  const play = () => () => undefined;
  const generator = liveParts(SETTINGS, { signal: new AbortController().signal, limit: 4096, play, ahead });
  expect((await generator.next()).value).toEqual({ kind: "head" });
  expect(calls).toEqual(["append One.", "end"]);
  options?.events?.message?.(DONE);
  expect(await rest(generator)).toEqual([{ kind: "done" }]);
});

test("a long text follows over the data channel, as much as the server lets wait", async () => {
  const [text, limit] = [`${SENTENCE} `.repeat(40), 1024];
  const play = () => () => undefined;
  const given = { signal: new AbortController().signal, limit, play, open: opened };
  const generator = liveParts({ ...SETTINGS, text }, given);
  await generator.next();
  expect(options?.messages).toHaveLength(1);
  const input = String(Object(options?.messages[0]).input);
  options?.events?.message?.({ ...STARTED, text: SENTENCE });
  await generator.next();
  const appended = () => calls.filter((call) => call.startsWith("append ")).map((call) => call.slice("append ".length));
  for (let index = 1; index < 40; index++) {
    const [sent, spoken] = [input + appended().join(""), (SENTENCE.length + 1) * index];
    expect(text.startsWith(sent)).toBe(true);
    expect(sent.length - spoken, "what may wait").toBeLessThanOrEqual(limit);
    expect(sent.length, "something waits").toBeGreaterThan(Math.min(spoken, text.length - 1));
    options?.events?.message?.({ ...STARTED, index, text: SENTENCE });
    await generator.next();
  }
  expect(input + appended().join("")).toBe(text);
  expect(calls.at(-1)).toBe("end");
  options?.events?.message?.(DONE);
  expect(await rest(generator)).toEqual([{ kind: "done" }]);
  expect(calls.filter((call) => call === "end")).toHaveLength(1);
});

test("A connection waits for the ICE servers, without which it may find no way", async () => {
  let answer: (response: Response) => void = () => undefined;
  const configurations: RTCConfiguration[] = [];
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => (answer = resolve)));
  vi.stubGlobal(
    "RTCPeerConnection",
    class {
      constructor(configuration: RTCConfiguration) {
        configurations.push(configuration);
        throw new TypeError("enough");
      }
    },
  );
  const source = new LiveSource();
  source.prepare();
  const failed = expect(source.parts(SETTINGS, 4096, new AbortController().signal).next()).rejects.toThrow("enough");
  await new Promise((done) => setTimeout(done, 10));
  expect(configurations).toEqual([]);
  const servers = [{ urls: "turn:turn.example.com" }];
  answer(Response.json({ ice_servers: servers }));
  await failed;
  expect(configurations).toEqual([{ iceServers: servers }]);
  vi.unstubAllGlobals();
});
