// How a phase looks: a colour and a shape, so that either one is enough. Pure.
import type { FleetRegion, Phase } from "./types";

export type Shape = "circle" | "ring" | "diamond" | "triangle" | "cross" | "square";

export const LOOKS: Record<Phase, { color: string; shape: Shape }> = {
  Awake: { color: "teal", shape: "circle" },
  Waking: { color: "yellow", shape: "triangle" },
  Draining: { color: "blue", shape: "diamond" },
  Asleep: { color: "gray", shape: "ring" },
  Failed: { color: "red", shape: "cross" },
  Suspended: { color: "violet", shape: "square" },
};

/** The phase of a place with several regions: the one that most needs to be seen. */
const BY_URGENCY: readonly Phase[] = ["Failed", "Waking", "Draining", "Awake", "Suspended", "Asleep"];

export function mostUrgent(regions: readonly FleetRegion[]): Phase {
  const found = new Set(regions.map((region) => region.phase));
  return BY_URGENCY.find((phase) => found.has(phase)) ?? "Asleep";
}

export function countByPhase(regions: readonly FleetRegion[]): Map<Phase, number> {
  const counts = new Map<Phase, number>();
  for (const region of regions) counts.set(region.phase, (counts.get(region.phase) ?? 0) + 1);
  return counts;
}
