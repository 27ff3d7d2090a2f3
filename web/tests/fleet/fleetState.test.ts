import { describe, expect, it } from "vitest";
import { fromSnapshot, keyOf, MOST_DECISIONS, withChange } from "../../src/fleet/stream/fleetState";
import { afterEvent, DISCONNECTED } from "../../src/fleet/stream/useFleet";
import { ApiError } from "../../src/shared/http";
import { decision, region, snapshot } from "./fixtures";

const AT = "2026-11-30T12:00:01Z";
const NOW = Date.parse("2026-11-30T12:00:00Z");

describe("withChange", () => {
  it("replaces whole rows, keeps the others, and stays in order", () => {
    const before = fromSnapshot(snapshot([region({ region: "b" }), region({ region: "a" })]), NOW);
    const after = withChange(
      before,
      {
        at: AT,
        version: 2,
        regions: [region({ region: "b", phase: "Awake" }), region({ region: "c" })],
        decisions: [],
      },
      NOW,
    );
    expect(after.regions.map((each) => [each.region, each.phase])).toEqual([
      ["a", "Asleep"],
      ["b", "Awake"],
      ["c", "Asleep"],
    ]);
    expect(after.clockSkewMs).toBe(1000);
  });

  it("keeps one decision per request, the newest first, and no more than it shows", () => {
    const before = fromSnapshot(snapshot([], [decision(1), decision(2)]), NOW);
    const later = decision(3, { id: "1", action: "serve" });
    const after = withChange(before, { at: AT, version: 2, regions: [], decisions: [later] }, NOW);
    expect(after.decisions.map((each) => [each.id, each.number])).toEqual([
      ["1", 3],
      ["2", 2],
    ]);
    const many = Array.from({ length: 3 * MOST_DECISIONS }, (_, index) => decision(index + 10));
    expect(withChange(after, { at: AT, version: 3, regions: [], decisions: many }, NOW).decisions).toHaveLength(
      MOST_DECISIONS,
    );
  });

  it("keeps what has not changed as it is, so that React draws nothing", () => {
    const before = fromSnapshot(snapshot([region()], [decision(1)]), NOW);
    const after = withChange(before, { at: AT, version: 2, regions: [], decisions: [] }, NOW);
    expect(after.regions).toBe(before.regions);
    expect(after.decisions).toBe(before.decisions);
  });
});

describe("afterEvent", () => {
  const live = afterEvent(DISCONNECTED, { kind: "snapshot", data: snapshot([region()]) }, NOW);

  it("shows what is known while the stream is lost, and since when", () => {
    const lost = afterEvent(live, { kind: "lost", error: new TypeError("network") }, NOW + 5000);
    expect([lost.isLive, lost.newestMs, lost.fault, lost.needsKey]).toEqual([false, NOW, "", false]);
    expect(lost.fleet?.regions.map(keyOf)).toEqual(["default/narrator/eu-central"]);
    expect(afterEvent(lost, { kind: "alive" }, NOW + 9000).isLive).toBe(true);
  });

  it("drops what another key could read", () => {
    const refused = new ApiError("Incorrect API key provided.", 401, null, null);
    const lost = afterEvent(live, { kind: "lost", error: refused }, NOW);
    expect([lost.needsKey, lost.fleet, lost.fault]).toEqual([true, null, "Incorrect API key provided."]);
  });

  it("says in the gateway's words why a stream is refused", () => {
    const full = new ApiError("This gateway has 256 streams open.", 503, null, 5);
    expect(afterEvent(live, { kind: "lost", error: full }, NOW).fault).toBe("This gateway has 256 streams open.");
  });
});
