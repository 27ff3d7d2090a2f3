// Servers and requests of regions as numbers to show: what a silent gateway knows is missing, not 0. Pure.
import type { FleetRegion } from "../types";

/** `isLeast`: there may be more. */
export interface Count {
  readonly value: number;
  readonly isLeast: boolean;
}

export interface Counts {
  readonly ready: Count;
  readonly starting: Count;
  readonly open: Count;
  readonly held: Count;
}

/** The counts of one region, or the sums of several. */
export function countsOf(regions: readonly FleetRegion[]): Counts {
  const isStale = regions.some((region) => region.is_stale);
  const isSilent = isStale || regions.some((region) => region.silent_gateways > 0);
  const sum = (count: (region: FleetRegion) => number) => regions.reduce((total, region) => total + count(region), 0);
  const servers = (stage: "ready" | "starting") =>
    sum((region) => region.pools.reduce((total, pool) => total + pool[stage], 0));
  return {
    ready: { value: servers("ready"), isLeast: isStale },
    starting: { value: servers("starting"), isLeast: isStale },
    open: { value: sum((region) => region.open_requests), isLeast: isStale },
    held: { value: sum((region) => region.held_requests), isLeast: isSilent },
  };
}

/** 3, ≥ 3, or ? where nothing is known. */
export function countText({ value, isLeast }: Count): string {
  if (!isLeast) return String(value);
  return value ? `≥ ${value}` : "?";
}
