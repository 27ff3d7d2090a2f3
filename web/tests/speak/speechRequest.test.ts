import { afterEach, expect, test, vi } from "vitest";
import { ApiError } from "../../src/shared/http";
import { BrokenOffError, type SpeechPart, speechParts } from "../../src/speak/playback/engine/speechRequest";
import { DEFAULT_SETTINGS } from "../../src/speak/settings/settings";

const SETTINGS = { ...DEFAULT_SETTINGS, text: "One.", model: "voxcpm-1.5" };
const DELTA = `data: ${JSON.stringify({ type: "speech.audio.delta", audio: btoa("\x01\x00\x02\x00") })}\n\n`;
const DONE = `data: ${JSON.stringify({ type: "speech.audio.done", usage: {}, sentences: [] })}\n\n`;
const FAILED = `data: ${JSON.stringify({ error: { message: "The server stops." } })}\n\n`;

/** Answers with these pieces, each made when it is read; a piece that is an Error breaks the connection. */
function answer(...pieces: (string | Error)[]): { end: () => "open" | "read to the end" | "cancelled" } {
  let end: "open" | "read to the end" | "cancelled" = "open";
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        const piece = pieces.shift();
        if (piece === undefined) {
          end = "read to the end";
          controller.close();
        } else if (piece instanceof Error) controller.error(piece);
        else controller.enqueue(new TextEncoder().encode(piece));
      },
      cancel: () => {
        end = "cancelled";
      },
    },
    { highWaterMark: 0 }, // reads nothing ahead
  );
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("fetch", async () => new Response(body));
  return { end: () => end };
}

async function kinds(generator = speechParts(SETTINGS, new AbortController().signal)): Promise<SpeechPart["kind"][]> {
  const all: SpeechPart["kind"][] = [];
  for await (const part of generator) all.push(part.kind);
  return all;
}

afterEach(() => vi.unstubAllGlobals());

test.each([
  ["with the last event", [DELTA + DONE]],
  ["after the last event", [DELTA, DONE]],
  ["after more than the last event", [DELTA, DONE, ": alive\n\n", "data: [DONE]\n\n", DELTA]],
])("a response is read to the end that comes %s", async (_when, pieces) => {
  const response = answer(...pieces);
  expect(await kinds()).toEqual(["head", "audio", "done"]);
  expect(response.end()).toBe("read to the end");
});

test("a connection that breaks after the last event loses nothing", async () => {
  answer(DELTA, DONE, new TypeError("network error"));
  expect(await kinds()).toEqual(["head", "audio", "done"]);
});

test.each([
  ["ends", [DELTA], BrokenOffError],
  ["breaks", [DELTA, new TypeError("network error")], TypeError],
  ["says that it failed", [DELTA, FAILED], ApiError],
])("a response that %s before its last event raises", async (_how, pieces, error) => {
  answer(...pieces);
  await expect(kinds()).rejects.toThrow(error);
});

test("a response that is left early is closed", async () => {
  const response = answer(DELTA, DELTA, DONE);
  for await (const part of speechParts(SETTINGS, new AbortController().signal)) {
    if (part.kind === "audio") break;
  }
  await vi.waitFor(() => expect(response.end()).toBe("cancelled"));
});
