import i18next from "i18next";
import { beforeAll, describe, expect, it } from "vitest";
import { costNow, duration, shortDuration, wakeShare } from "../../src/fleet/figures";
import { countByPhase, LOOKS, mostUrgent } from "../../src/fleet/phases";
import { operationsOf, pathOf, whyNone } from "../../src/fleet/regions/operations";
import { pauseMs } from "../../src/fleet/stream/fleetStream";
import { type CostEntry, PHASES } from "../../src/fleet/types";
import en from "../../src/locales/en/fleet.json";
import zh from "../../src/locales/zh/fleet.json";
import { region } from "./fixtures";

beforeAll(async () => {
  await i18next.init({ lng: "en", resources: { en: { fleet: en } }, defaultNS: "fleet" });
});

describe("duration", () => {
  it.each([
    [0, "0 s"],
    [59.4, "59 s"],
    [125, "2 min 5 s"],
    [3600, "1 h"],
    [100_000, "1 d 3 h"],
    [-5, "0 s"],
  ])("writes %d s", (seconds, text) => {
    expect(duration(i18next.getFixedT("en", "fleet") as never, seconds)).toBe(text);
  });
});

describe("shortDuration", () => {
  it.each([
    [0.02, "20 ms"],
    [0.9994, "999 ms"],
    [1.84, "1.8 s"],
    [30, "30 s"],
    [90, "1 min 30 s"],
  ])("writes %d s", (seconds, text) => {
    expect(shortDuration(i18next.getFixedT("en", "fleet") as never, seconds)).toBe(text);
  });
});

const COST: CostEntry = {
  as_of: "2026-11-01T00:00:00Z",
  month: "2026-11",
  gpu_seconds: 3600,
  avoided_gpu_seconds: -7200,
  paid: 10,
  saved: -5,
  gpus: 2,
  avoided_gpus: 1,
  paid_per_hour: 1,
  saved_per_hour: 0.5,
  is_priced: true,
};

describe("costNow", () => {
  it("adds the time since at the rates; the ledger's base may be below zero", () => {
    const now = costNow(COST, Date.parse("2026-11-02T00:00:00Z"));
    expect([now.paid, now.saved, now.gpuHours, now.avoidedGpuHours]).toEqual([34, 7, 49, 22]);
    expect(now.savedRatio).toBeCloseTo(7 / 41);
  });

  it("begins anew in a later month, when no ledger was written meanwhile", () => {
    expect(costNow(COST, Date.parse("2026-12-01T10:00:00Z")).paid).toBe(10);
  });

  it("compares hours where nothing has a price", () => {
    const now = costNow({ ...COST, is_priced: false }, Date.parse("2026-11-02T00:00:00Z"));
    expect(now.savedRatio).toBeCloseTo(22 / 71);
  });
});

describe("wakeShare", () => {
  it("grows, and is never complete before the region is awake", () => {
    const shares = [0, 10, 20, 30, 40, 100, 10_000].map((seconds) => wakeShare(seconds, 40));
    expect(shares).toEqual([...shares].sort((one, other) => one - other));
    expect(Math.max(...shares)).toBeLessThan(1);
    expect(wakeShare(5, 0)).toBe(0);
  });
});

describe("phases", () => {
  it("have each its own colour and its own shape", () => {
    const looks = PHASES.map((phase) => LOOKS[phase]);
    expect(new Set(looks.map((look) => look.color)).size).toBe(PHASES.length);
    expect(new Set(looks.map((look) => look.shape)).size).toBe(PHASES.length);
  });

  it("show the most urgent one of a place", () => {
    const regions = [region(), region({ phase: "Awake" }), region({ phase: "Failed" })];
    expect(mostUrgent(regions)).toBe("Failed");
    expect(mostUrgent(regions.slice(0, 2))).toBe("Awake");
    expect(countByPhase(regions).get("Asleep")).toBe(1);
  });
});

describe("operations", () => {
  it("are those that a region's phase allows", () => {
    expect(operationsOf(region())).toEqual({ wake: true, sleep: false });
    expect(operationsOf(region({ phase: "Awake" }))).toEqual({ wake: false, sleep: true });
    expect(operationsOf(region({ phase: "Awake", sleep_asked_at: "2026-11-30T12:00:00Z" })).sleep).toBe(false);
    expect(operationsOf(region({ phase: "Suspended" }))).toEqual({ wake: false, sleep: false });
    expect(operationsOf(region({ is_here: false, fault: "connect" })).wake).toBe(false);
    expect(operationsOf(region({ is_here: false })).wake).toBe(true);
  });

  it("have a reason where there is none", () => {
    expect(whyNone(region())).toBeNull();
    expect(whyNone(region({ phase: "Awake", sleep_asked_at: "2026-11-30T12:00:00Z" }))).toBeNull();
    expect(whyNone(region({ phase: "Waking" }))).toBe("waking");
    expect(whyNone(region({ phase: "Suspended" }))).toBe("suspended");
    expect(whyNone(region({ is_here: false, fault: "connect" }))).toBe("unreached");
  });

  it("name the model in the path", () => {
    expect(pathOf(region(), "sleep")).toBe("/v1/models/default/narrator/sleep");
  });
});

describe("pauseMs", () => {
  it("grows to a bound, never to zero", () => {
    expect(pauseMs(0, 0)).toBe(250);
    expect(pauseMs(50, 1)).toBe(15_000);
  });
});

describe("texts", () => {
  const keys = (texts: object, path = ""): string[] =>
    Object.entries(texts).flatMap(([name, value]) =>
      typeof value === "object" ? keys(value, `${path}${name}.`) : [`${path}${name}`.replace(/_(one|other)$/, "")],
    );

  it("are the same in both languages", () => {
    expect([...new Set(keys(zh))].sort()).toEqual([...new Set(keys(en))].sort());
  });
});
