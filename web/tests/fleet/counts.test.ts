import { describe, expect, it } from "vitest";
import { countsOf, countText } from "../../src/fleet/regions/counts";
import { region } from "./fixtures";

const awake = region({
  pools: [
    { pool: "spot", ready: 2, starting: 1, draining: 3 },
    { pool: "on_demand", ready: 1, starting: 0, draining: 0 },
  ],
  open_requests: 19,
  held_requests: 4,
});

const texts = (...regions: Parameters<typeof countsOf>[0]) => {
  const { ready, starting, open, held } = countsOf(regions);
  return [ready, starting, open, held].map(countText);
};

describe("countsOf", () => {
  it("sums pools and regions", () => {
    expect(texts(awake)).toEqual(["3", "1", "19", "4"]);
    expect(texts(awake, awake, region())).toEqual(["6", "2", "38", "8"]);
    expect(texts()).toEqual(["0", "0", "0", "0"]);
  });

  it("says that more may be held where a gateway is silent", () => {
    expect(texts({ ...awake, silent_gateways: 1 })).toEqual(["3", "1", "19", "≥ 4"]);
    expect(texts(region({ silent_gateways: 1 }))[3]).toBe("?");
  });

  it("knows nothing of a region that does not report, and of the fleet only the rest", () => {
    const stale = region({ is_here: false, is_stale: true });
    expect(texts(stale)).toEqual(["?", "?", "?", "?"]);
    expect(texts(awake, stale)).toEqual(["≥ 3", "≥ 1", "≥ 19", "≥ 4"]);
  });
});
