// Rows as a gateway sends them.
import type { FleetDecision, FleetRegion, FleetSnapshot } from "../../src/fleet/types";

export function region(fields: Partial<FleetRegion> = {}): FleetRegion {
  return {
    namespace: "default",
    name: "narrator",
    region: "eu-central",
    model: "voxcpm-1.5",
    place: null,
    phase: "Asleep",
    known_by: "operator",
    as_of: null,
    is_stale: false,
    is_here: true,
    fault: "",
    message: "",
    pools: [],
    open_requests: 0,
    held_requests: 0,
    silent_gateways: 0,
    rows: 0,
    running: 0,
    wake: null,
    predicted_wake_seconds: 30,
    asleep_since: null,
    sleep_asked_at: null,
    awake_until: null,
    price_per_gpu_hour: null,
    cost: null,
    ...fields,
  };
}

export function decision(number: number, fields: Partial<FleetDecision> = {}): FleetDecision {
  return {
    id: String(number),
    gateway: "gateway-1",
    number,
    request_id: `r-${number}`,
    at: "2026-11-30T12:00:00Z",
    namespace: "default",
    name: "narrator",
    tenant: null,
    action: "serve",
    region: "eu-central",
    route: "nearest",
    reasons: [{ code: "nearest", params: { region: "eu-central" }, because: null }],
    country: null,
    wakes: [],
    wake_estimate_seconds: null,
    regions: [],
    ...fields,
  };
}

export function snapshot(regions: FleetRegion[], decisions: FleetDecision[] = []): FleetSnapshot {
  return {
    at: "2026-11-30T12:00:00Z",
    version: 1,
    gateway: "gateway-1",
    gateway_region: "eu-central",
    may_operate: true,
    regions,
    decisions,
  };
}
