import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../../src/shared/http";
import type { RtcOptions, RtcSession } from "../../src/shared/rtc/session";
import { ConnectionAhead, NoRtcError } from "../../src/speak/playback/engine/live/liveConnection";
import { DEFAULT_SETTINGS } from "../../src/speak/settings/settings";

const SETTINGS = { ...DEFAULT_SETTINGS, text: "One.", model: "voxcpm-1.5" };
const OTHER = { ...SETTINGS, voice: "other" };

let offers: RtcOptions[];
let closed: number[];
let ahead: ConnectionAhead;

async function open(options: RtcOptions): Promise<RtcSession> {
  const number = offers.push(options);
  return { close: () => closed.push(number) } as unknown as RtcSession;
}

beforeEach(() => {
  vi.useFakeTimers();
  offers = [];
  closed = [];
  ahead = new ConnectionAhead(open);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("it is opened once for the same settings, whatever their text, and speaks nothing yet", async () => {
  const first = ahead.prepare(SETTINGS);
  expect(ahead.prepare({ ...SETTINGS, text: "Two." })).toBe(first);
  expect(offers.map((each) => each.messages)).toEqual([
    [{ type: "session.start", model: "voxcpm-1.5", voice: "default", normalize: true }],
  ]);
  expect(await ahead.take(SETTINGS)).toBe(await first);
  expect(await ahead.take(SETTINGS), "taken once").toBeNull();
  expect(closed).toEqual([]);
});

test("it is offered without being held: a region that is asleep answers at once", async () => {
  const fetched = vi.fn(async (_path: string, _init: RequestInit) => Response.json({}));
  vi.stubGlobal("fetch", fetched);
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  await ahead.prepare(SETTINGS);
  await offers[0]?.request("/offer", { method: "POST", headers: { "Content-Type": "application/json" } });
  const headers = new Headers(fetched.mock.calls[0]?.[1].headers);
  expect([headers.get("prefer"), headers.get("content-type")]).toEqual(["wait=0", "application/json"]);
});

test("other settings need another session, and the first one is closed", async () => {
  await ahead.prepare(SETTINGS);
  expect(await ahead.take(OTHER)).toBeNull();
  await ahead.prepare(OTHER);
  expect(closed).toEqual([1]);
  expect(await ahead.take(OTHER)).not.toBeNull();
});

test("it waits until it is taken, dropped or replaced, also while it is opened", async () => {
  const first = ahead.prepare(SETTINGS);
  const second = ahead.prepare(OTHER);
  expect([ahead.holds(await first), ahead.holds(await second)]).toEqual([false, true]);
  await ahead.take(OTHER);
  expect(ahead.holds(await second)).toBe(false);
  const third = ahead.prepare(OTHER);
  ahead.drop();
  expect(ahead.holds(await third)).toBe(false);
});

test("it is kept for a minute after it was last asked for", async () => {
  await ahead.prepare(SETTINGS);
  await vi.advanceTimersByTimeAsync(50_000);
  await ahead.prepare(SETTINGS);
  await vi.advanceTimersByTimeAsync(50_000);
  expect(closed).toEqual([]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(closed).toEqual([1]);
  expect(await ahead.take(SETTINGS)).toBeNull();
});

test.each(["failed", "closed", "disconnected"] as const)("one whose connection is %s is not used", async (state) => {
  await ahead.prepare(SETTINGS);
  offers[0]?.events?.state?.("connected");
  offers[0]?.events?.state?.(state);
  expect(await ahead.take(SETTINGS)).toBeNull();
  expect(closed).toEqual([1]);
});

test("one that the server has ended is opened anew", async () => {
  await ahead.prepare(SETTINGS);
  const error = { message: "idle", type: "timeout", param: null, code: "session_idle" };
  offers[0]?.events?.message?.({ type: "error", error });
  await ahead.prepare(SETTINGS);
  expect([offers.length, closed]).toEqual([2, [1]]);
});

test("a server without WebRTC is asked once; another failure is left to the speech", async () => {
  let status = 501;
  ahead = new ConnectionAhead(async (options) => {
    offers.push(options);
    throw new ApiError("no", status, null, null);
  });
  await ahead.prepare(SETTINGS).catch(() => undefined);
  await ahead.prepare(SETTINGS).catch(() => undefined);
  await expect(ahead.take(SETTINGS)).rejects.toEqual(new NoRtcError("server"));
  status = 503;
  await ahead.prepare(SETTINGS).catch(() => undefined);
  expect(await ahead.take(SETTINGS)).toBeNull();
  expect(offers).toHaveLength(2);
});
