// What the page knows of the fleet, and what an event makes of it. Pure.
import type { FleetChange, FleetDecision, FleetRegion, FleetSnapshot } from "../types";

export interface Fleet {
  readonly gateway: string;
  readonly gatewayRegion: string;
  readonly mayOperate: boolean;
  /** Clock of the gateway less that of this browser, in milliseconds: ages are by the gateway's. */
  readonly clockSkewMs: number;
  readonly regions: readonly FleetRegion[];
  /** The newest first. */
  readonly decisions: readonly FleetDecision[];
}

export const MOST_DECISIONS = 50;

export type RegionKey = string;

export function keyOf(region: Pick<FleetRegion, "namespace" | "name" | "region">): RegionKey {
  return `${region.namespace}/${region.name}/${region.region}`;
}

export function fromSnapshot(snapshot: FleetSnapshot, nowMs: number): Fleet {
  return {
    gateway: snapshot.gateway,
    gatewayRegion: snapshot.gateway_region,
    mayOperate: snapshot.may_operate,
    clockSkewMs: Date.parse(snapshot.at) - nowMs,
    regions: [...snapshot.regions].sort(byKey),
    decisions: newestFirst(snapshot.decisions),
  };
}

/** A change has whole rows; regions that left come as a new snapshot. */
export function withChange(fleet: Fleet, change: FleetChange, nowMs: number): Fleet {
  const changed = new Map(change.regions.map((region) => [keyOf(region), region]));
  const kept = fleet.regions.filter((region) => !changed.has(keyOf(region)));
  const later = new Set(change.decisions.map((decision) => decision.id));
  const decisions = [...fleet.decisions.filter((decision) => !later.has(decision.id)), ...change.decisions];
  return {
    ...fleet,
    clockSkewMs: Date.parse(change.at) - nowMs,
    regions: changed.size ? [...kept, ...changed.values()].sort(byKey) : fleet.regions,
    decisions: later.size ? newestFirst(decisions) : fleet.decisions,
  };
}

function byKey(one: FleetRegion, other: FleetRegion): number {
  return keyOf(one) < keyOf(other) ? -1 : 1;
}

/** Numbers order the decisions of one gateway; times those of several. */
function newestFirst(decisions: readonly FleetDecision[]): FleetDecision[] {
  const byTime = (one: FleetDecision, other: FleetDecision) => Date.parse(other.at) - Date.parse(one.at);
  return [...decisions].sort((one, other) => byTime(one, other) || other.number - one.number).slice(0, MOST_DECISIONS);
}
