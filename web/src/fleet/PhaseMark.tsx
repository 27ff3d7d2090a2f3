// A phase's shape, for the map and for text; its colour follows the scheme (fleet.module.css).
import classes from "./fleet.module.css";
import { LOOKS, type Shape } from "./phases";
import type { Phase } from "./types";

const PATHS: Record<Shape, string> = {
  circle: "M0-7a7 7 0 1 0 0 14a7 7 0 1 0 0-14z",
  ring: "M0-7a7 7 0 1 0 0 14a7 7 0 1 0 0-14zM0-3.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7z",
  diamond: "M0-8L8 0L0 8L-8 0z",
  triangle: "M0-8L8 6L-8 6z",
  cross: "M-7-4.5L-4.5-7L0-2.5L4.5-7L7-4.5L2.5 0L7 4.5L4.5 7L0 2.5L-4.5 7L-7 4.5L-2.5 0z",
  square: "M-6-6h12v12h-12z",
};

export function PhaseShape({ phase }: { phase: Phase }) {
  return <path d={PATHS[LOOKS[phase].shape]} fillRule="evenodd" className={classes.shape} data-phase={phase} />;
}

export function PhaseMark({ phase, size = 16 }: { phase: Phase; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="-9 -9 18 18" aria-hidden="true" className={classes.mark}>
      <PhaseShape phase={phase} />
    </svg>
  );
}
