import { beforeEach, expect, test, vi } from "vitest";
import { hasReached, parseServerMessage, playingSentence, type SentenceStarted } from "../src/shared/rtc/messages";
import { openRtcSession, RTC_PATH } from "../src/shared/rtc/session";

function sentence(index: number, rtp_timestamp: number): SentenceStarted {
  return { type: "sentence.started", index, text: `${index}`, at_seconds: index, rtp_timestamp };
}

test("time stamps are compared around their wrap", () => {
  expect(hasReached(10, 10)).toBe(true);
  expect(hasReached(9, 10)).toBe(false);
  expect(hasReached(5, 2 ** 32 - 5)).toBe(true);
  expect(hasReached(2 ** 32 - 5, 5)).toBe(false);
});

test("the playing sentence is the last one whose first packet has been played", () => {
  const started = [sentence(0, 2 ** 32 - 960), sentence(1, 48_000)];
  expect(playingSentence(started, 2 ** 32 - 961)).toBeNull();
  expect(playingSentence(started, 0)?.index).toBe(0);
  expect(playingSentence(started, 48_000)?.index).toBe(1);
  expect(playingSentence([], 0)).toBeNull();
});

test("messages of a newer server are skipped", () => {
  expect(parseServerMessage('{"type": "word.started"}')).toBeNull();
  expect(parseServerMessage("[]")).toBeNull();
  expect(parseServerMessage('{"type": "cancelled", "at_seconds": 1.5}')).toEqual({
    type: "cancelled",
    at_seconds: 1.5,
  });
});

class FakeChannel {
  readyState = "connecting";
  sent: unknown[] = [];
  onopen = () => {};
  onmessage = (_event: { data: string }) => {};
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  open() {
    this.readyState = "open";
    this.onopen();
  }
}

class FakeConnection {
  channel = new FakeChannel();
  localDescription: { sdp: string } | null = null;
  remote: unknown = null;
  isClosed = false;
  receiver = { track: {}, jitterBufferTarget: null as number | null, getSynchronizationSources: () => [] };
  createDataChannel = () => this.channel;
  addTransceiver = () => ({ receiver: this.receiver });
  createOffer = async () => ({ type: "offer", sdp: "v=0" });
  setLocalDescription = async (description: { sdp: string }) => {
    this.localDescription = description;
  };
  setRemoteDescription = async (description: unknown) => {
    this.remote = description;
  };
  close = () => {
    this.isClosed = true;
  };
}

const START = { type: "session.start", model: "m", input: "Hi." } as const;
let connection: FakeConnection;
let configuration: RTCConfiguration;
let request: ReturnType<typeof vi.fn>;

beforeEach(() => {
  vi.stubGlobal("MediaStream", class {});
  connection = new FakeConnection();
  request = vi.fn(async () => Response.json({ sdp: "answer", session_id: "s1" }));
});

function open(events = {}) {
  return openRtcSession({
    messages: [START, { type: "text.flush" }],
    events,
    request: request as never,
    iceServers: [{ urls: ["turn:turn.example.com"], username: "ada", credential: "c" }],
    connection: (given) => {
      configuration = given;
      return connection as never;
    },
  });
}

test("the connection may use the servers that it is given", async () => {
  await open();
  expect(configuration.iceServers).toMatchObject([{ urls: ["turn:turn.example.com"] }]);
});

test("the offer carries the first messages, and later ones wait for the channel", async () => {
  const session = await open();
  const [path, init] = request.mock.calls[0] as [string, RequestInit];
  expect(path).toBe(RTC_PATH);
  expect(JSON.parse(String(init.body))).toEqual({
    type: "offer",
    sdp: "v=0",
    messages: [START, { type: "text.flush" }],
  });
  expect(connection.remote).toEqual({ type: "answer", sdp: "answer" });
  expect(connection.receiver.jitterBufferTarget).toBe(0);
  session.append("More.");
  session.cancel();
  expect(connection.channel.sent).toEqual([]);
  connection.channel.open();
  session.end();
  expect(connection.channel.sent).toEqual([
    { type: "text.append", text: "More." },
    { type: "cancel" },
    { type: "session.end" },
  ]);
});

test("a session that has ended is closed, and not deleted: the server has it no more", async () => {
  const kinds: string[] = [];
  const session = await open({ message: (message: { type: string }) => kinds.push(message.type) });
  connection.channel.onmessage({ data: '{"type": "session.done", "usage": {}}' });
  session.close();
  await session.sessionId;
  await Promise.resolve();
  expect(request).toHaveBeenCalledTimes(1);
  expect(connection.isClosed).toBe(true);
  expect(kinds).toEqual(["session.done"]);
});

test("a session that is closed is deleted on the server, once", async () => {
  const session = await open();
  session.close();
  session.close();
  await vi.waitFor(() => expect(request).toHaveBeenCalledTimes(2));
  expect(request.mock.calls[1]).toEqual([`${RTC_PATH}/s1`, { method: "DELETE", keepalive: true }]);
  expect(connection.isClosed).toBe(true);
});

test("an error response closes the connection and is raised", async () => {
  request.mockRejectedValue(new Error("full"));
  await expect(open()).rejects.toThrow("full");
  expect(connection.isClosed).toBe(true);
});
