// The fleet as the stream has it, whether the stream is connected, and since when it is not.
import { useEffect, useReducer } from "react";
import { ApiError } from "../../shared/http";
import { type Fleet, fromSnapshot, withChange } from "./fleetState";
import { type FleetEvent, followFleet } from "./fleetStream";

export interface FleetConnection {
  readonly fleet: Fleet | null;
  readonly isLive: boolean;
  /** When the page last had news of the fleet, in milliseconds; null before the first. */
  readonly newestMs: number | null;
  /** Why the stream ended, in the gateway's words; empty for a connection that broke. */
  readonly fault: string;
  /** The gateway wants an API key, or another one. */
  readonly needsKey: boolean;
}

export const DISCONNECTED: FleetConnection = {
  fleet: null,
  isLive: false,
  newestMs: null,
  fault: "",
  needsKey: false,
};

export function afterEvent(before: FleetConnection, event: FleetEvent, nowMs: number): FleetConnection {
  const live = { isLive: true, newestMs: nowMs, fault: "", needsKey: false };
  if (event.kind === "snapshot") return { ...live, fleet: fromSnapshot(event.data, nowMs) };
  if (event.kind === "change")
    return { ...live, fleet: before.fleet ? withChange(before.fleet, event.data, nowMs) : null };
  if (event.kind === "alive") return { ...before, ...live };
  const needsKey = isUnauthorized(event.error);
  const fault = event.error instanceof ApiError ? event.error.message : "";
  // What another key could read is not shown to this one.
  return { ...before, fleet: needsKey ? null : before.fleet, isLive: false, fault, needsKey };
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}

/** `attempt`: a new number connects anew, as with another key. */
export function useFleet(attempt: number): FleetConnection {
  const [connection, apply] = useReducer(
    (before: FleetConnection, event: FleetEvent) => afterEvent(before, event, Date.now()),
    DISCONNECTED,
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt is another connection
  useEffect(() => {
    const ending = new AbortController();
    void followFleet(apply, isUnauthorized, ending.signal);
    return () => ending.abort();
  }, [attempt]);
  return connection;
}
