// The gateway's contract, as scripts/api-types generates it.
import type { components } from "../api/generated/gateway";

type Schemas = components["schemas"];
export type FleetRegion = Schemas["FleetRegion"];
export type FleetDecision = Schemas["FleetDecision"];
export type DecisionRegion = Schemas["DecisionRegion"];
export type DecisionReason = Schemas["DecisionReason"];
export type FleetSnapshot = Schemas["FleetSnapshot"];
export type FleetChange = Schemas["FleetChange"];
export type PoolServers = Schemas["PoolServers"];
export type WakeState = Schemas["WakeState"];
export type CostEntry = Schemas["CostEntry"];
export type Phase = FleetRegion["phase"];

export const PHASES: readonly Phase[] = ["Awake", "Waking", "Draining", "Asleep", "Failed", "Suspended"];
