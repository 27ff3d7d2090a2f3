// Follows GET /v1/fleet/events with the API key, which EventSource can't send, and connects again when it ends.

import { ServerSentEventParser } from "../../shared/audio/serverSentEvents";
import { request } from "../../shared/http";
import type { FleetChange, FleetSnapshot } from "../types";

export type FleetEvent =
  | { readonly kind: "snapshot"; readonly data: FleetSnapshot }
  | { readonly kind: "change"; readonly data: FleetChange }
  | { readonly kind: "alive" }
  | { readonly kind: "lost"; readonly error: unknown };

/** The gateway sends a comment every 15 s: without a byte for longer the connection is dead. */
export const SILENCE_MS = 40_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** How long to wait before the next connection, after so many failures in a row. */
export function pauseMs(failures: number, draw: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10)) * (0.5 + draw / 2);
}

/** Report events until the signal is aborted. `isFinal`: an error after which no further attempt is made. */
export async function followFleet(
  report: (event: FleetEvent) => void,
  isFinal: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await readOnce((event) => {
        failures = 0;
        report(event);
      }, signal);
      report({ kind: "lost", error: null });
    } catch (error) {
      if (signal.aborted) return;
      report({ kind: "lost", error });
      if (isFinal(error)) return;
    }
    await sleep(pauseMs(failures, Math.random()), signal);
    failures += 1;
  }
}

async function readOnce(report: (event: FleetEvent) => void, signal: AbortSignal): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await request("/v1/fleet/events", { signal: AbortSignal.any([signal, silence.signal]) });
    const [parser, decoder] = [new ServerSentEventParser(), new TextDecoder()];
    const reader = response.body?.getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      for (const event of parser.feed(decoder.decode(part.value, { stream: true }))) {
        if (event.kind === "comment") report({ kind: "alive" });
        else if (event.name === "snapshot" || event.name === "change")
          report({ kind: event.name, data: JSON.parse(event.data) });
      }
    }
  } finally {
    clearTimeout(timer);
    silence.abort(); // closes the response, where an event could not be read
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
