// What can be done with a region in its phase, and by which request. Pure.
import type { FleetRegion, Phase } from "../types";

export type Operation = "wake" | "sleep";

const WAKEABLE: readonly Phase[] = ["Asleep", "Failed", "Draining"];

export function operationsOf(region: FleetRegion): Record<Operation, boolean> {
  const isReached = region.is_here || (!region.is_stale && !region.fault);
  return {
    wake: isReached && (WAKEABLE.includes(region.phase) || region.sleep_asked_at !== null),
    sleep: isReached && region.phase === "Awake" && region.sleep_asked_at === null,
  };
}

/** Why neither can be done with a region; null where one can. */
export function whyNone(region: FleetRegion): "unreached" | "waking" | "suspended" | null {
  const possible = operationsOf(region);
  if (possible.wake || possible.sleep) return null;
  if (region.phase === "Waking") return "waking";
  return region.phase === "Suspended" ? "suspended" : "unreached";
}

/** A full name holds a slash, which stays one in the path. */
export function pathOf(region: FleetRegion, operation: Operation): string {
  return `/v1/models/${encodeURIComponent(region.namespace)}/${encodeURIComponent(region.name)}/${operation}`;
}
