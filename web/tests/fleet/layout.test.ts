import { describe, expect, it } from "vitest";
import { apart, layOut } from "../../src/fleet/map/layout";
import { region } from "./fixtures";

const SPACING = { x: 70, y: 40 };
const SIZE = { width: 1000, height: 500 };
const project = (longitude: number, latitude: number) => ({ x: 500 + longitude * 2.7, y: 250 - latitude * 2.7 });
const distance = (one: { x: number; y: number }, other: { x: number; y: number }) =>
  Math.hypot((one.x - other.x) * (SPACING.y / SPACING.x), one.y - other.y);

describe("apart", () => {
  it("moves nothing that is far enough", () => {
    const points = [
      { x: 0, y: 0 },
      { x: 0, y: 41 },
      { x: 71, y: 0 },
    ];
    expect(apart(points, SPACING)).toEqual(points);
  });

  it("parts equal points, and a dense cluster", () => {
    const points = Array.from({ length: 9 }, (_, index) => ({ x: index % 3, y: index % 2 }));
    const moved = apart(points, SPACING);
    for (const [first, one] of moved.entries())
      for (const other of moved.slice(first + 1)) expect(distance(one, other)).toBeGreaterThan(SPACING.y * 0.9);
  });
});

describe("layOut", () => {
  it("puts regions of one place into one marker, and leaves out those without a place", () => {
    const frankfurt = { latitude: 50.11, longitude: 8.68 };
    const sites = layOut(
      [
        region({ place: frankfurt }),
        region({ name: "other", place: frankfurt }),
        region({ region: "nowhere", place: null }),
      ],
      project,
      SPACING,
      SIZE,
    );
    expect(sites.map((site) => [site.name, site.regions.length])).toEqual([["eu-central", 2]]);
    expect(sites[0]?.shown).toEqual(sites[0]?.at);
  });

  it("keeps every marker on the map", () => {
    const south = region({ region: "south", place: { latitude: -89, longitude: 179 } });
    const [site] = layOut([south], project, SPACING, SIZE);
    expect(site?.shown.y).toBeLessThan(SIZE.height - 30);
    expect(site?.shown.x).toBeLessThan(SIZE.width - 30);
  });
});
