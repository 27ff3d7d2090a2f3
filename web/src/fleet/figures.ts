// Durations, times and amounts in words and digits. Pure; `t` gives the words.
import type { TFunction } from "i18next";
import type { CostEntry } from "./types";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** A duration in its two largest units: 3 d 4 h, 2 min 5 s. */
export function duration(t: TFunction<"fleet">, seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t("units.seconds", { count: whole });
  if (whole < HOUR) return two(t, "minutes", Math.floor(whole / 60), "seconds", whole % 60);
  if (whole < DAY) return two(t, "hours", Math.floor(whole / HOUR), "minutes", Math.floor((whole % HOUR) / 60));
  return two(t, "days", Math.floor(whole / DAY), "hours", Math.floor((whole % DAY) / HOUR));
}

type Unit = "seconds" | "minutes" | "hours" | "days";

function two(t: TFunction<"fleet">, large: Unit, count: number, small: Unit, rest: number): string {
  const first = t(`units.${large}`, { count });
  return rest ? `${first} ${t(`units.${small}`, { count: rest })}` : first;
}

/** A duration that is often below a second: 180 ms, 1.8 s; a minute and more as `duration` has it. */
export function shortDuration(t: TFunction<"fleet">, seconds: number): string {
  if (Math.abs(seconds) < 1) return t("units.milliseconds", { count: Math.round(seconds * 1000) });
  if (seconds >= 60) return duration(t, seconds);
  return t("units.seconds", { count: Math.round(seconds * 10) / 10 });
}

/** Seconds with a digit behind the point where they are few, as a wake's parts are. */
export function shortSeconds(seconds: number): string {
  return seconds < 10 ? seconds.toFixed(1) : String(Math.round(seconds));
}

export interface CostNow {
  readonly paid: number;
  readonly saved: number;
  readonly gpuHours: number;
  readonly avoidedGpuHours: number;
  /** Share of what would have been paid, or of GPU hours where nothing has a price; null before anything was used. */
  readonly savedRatio: number | null;
}

/** The month's sums until now: those of the ledger, and its rates since. In a later month only the rates count. */
export function costNow(cost: CostEntry, nowMs: number): CostNow {
  const month = new Date(nowMs).toISOString().slice(0, 7);
  const isThisMonth = month <= cost.month;
  const since = isThisMonth ? Date.parse(cost.as_of) : Date.parse(`${month}-01T00:00:00Z`);
  const hours = Math.max(0, nowMs - since) / 3_600_000;
  const sum = (before: number, rate: number) => (isThisMonth ? before : 0) + rate * hours;
  const paid = sum(cost.paid, cost.paid_per_hour);
  const saved = sum(cost.saved, cost.saved_per_hour);
  const gpuHours = sum(cost.gpu_seconds / HOUR, cost.gpus);
  const avoidedGpuHours = sum(cost.avoided_gpu_seconds / HOUR, cost.avoided_gpus);
  const [part, rest] = cost.is_priced ? [saved, paid] : [avoidedGpuHours, gpuHours];
  return { paid, saved, gpuHours, avoidedGpuHours, savedRatio: part + rest > 0 ? part / (part + rest) : null };
}

/** The share of a wake that is over, 0 to 1: never quite 1 before its region is awake. */
export function wakeShare(elapsedSeconds: number, expectedSeconds: number): number {
  if (expectedSeconds <= 0) return 0;
  const share = elapsedSeconds / expectedSeconds;
  return share < 0.9 ? Math.max(0, share) : 1 - 0.1 / (1 + (share - 0.9) * 10);
}
