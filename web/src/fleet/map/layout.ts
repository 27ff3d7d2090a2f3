// Where markers stand: regions of one place together, and places that would overlap moved apart. Pure.
import type { FleetRegion } from "../types";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Regions at one place on the map: `at` is the place, `shown` where its marker stands. */
export interface Site {
  readonly name: string;
  readonly at: Point;
  readonly shown: Point;
  readonly regions: readonly FleetRegion[];
}

const ROUNDS = 60;

/** How far apart markers stand: names are below them, so farther side by side than above one another. */
export interface Spacing {
  readonly x: number;
  readonly y: number;
}

/** Markers that would overlap are pushed apart, the least possible; `project` gives null for an unusable place. */
export function layOut(
  regions: readonly FleetRegion[],
  project: (longitude: number, latitude: number) => Point | null,
  spacing: Spacing,
  bounds: { width: number; height: number },
): Site[] {
  const sites = [...bySite(regions).values()].flatMap((group) => {
    const place = group[0]?.place;
    const at = place ? project(place.longitude, place.latitude) : null;
    return at ? [{ name: [...new Set(group.map((each) => each.region))].join(", "), at, regions: group }] : [];
  });
  const shown = apart(
    sites.map((site) => site.at),
    spacing,
  );
  return sites.map((site, index) => ({ ...site, shown: within(shown[index] ?? site.at, spacing, bounds) }));
}

/** Keep a marker and the name below it on the map. */
function within(point: Point, spacing: Spacing, bounds: { width: number; height: number }): Point {
  const [marginX, marginY] = [spacing.x / 2, spacing.y * 0.9];
  return {
    x: Math.min(bounds.width - marginX, Math.max(marginX, point.x)),
    y: Math.min(bounds.height - marginY, Math.max(spacing.y / 2, point.y)),
  };
}

function bySite(regions: readonly FleetRegion[]): Map<string, FleetRegion[]> {
  const groups = new Map<string, FleetRegion[]>();
  for (const region of regions) {
    if (!region.place) continue;
    const key = `${region.place.latitude.toFixed(2)},${region.place.longitude.toFixed(2)}`;
    groups.set(key, [...(groups.get(key) ?? []), region]);
  }
  return groups;
}

/** Move points until no two are in one another's ellipse. Equal points part in fixed directions: no draw of chance. */
export function apart(points: readonly Point[], spacing: Spacing): Point[] {
  const ratio = spacing.y / spacing.x; // in which x is as long as y
  const moved = points.map(({ x, y }) => ({ x: x * ratio, y }));
  for (let round = 0; round < ROUNDS; round += 1) {
    if (!pushOnce(moved, spacing.y)) break;
  }
  return moved.map(({ x, y }) => ({ x: x / ratio, y }));
}

function pushOnce(points: { x: number; y: number }[], distance: number): boolean {
  let isMoved = false;
  points.forEach((one, first) => {
    points.slice(first + 1).forEach((other, offset) => {
      const [dx, dy] = [other.x - one.x, other.y - one.y];
      const between = Math.hypot(dx, dy);
      if (between >= distance - 0.01) return;
      isMoved = true;
      const angle = between > 0.01 ? Math.atan2(dy, dx) : (first + offset) * 2.4;
      const push = (distance - between) / 2;
      one.x -= Math.cos(angle) * push;
      one.y -= Math.sin(angle) * push;
      other.x += Math.cos(angle) * push;
      other.y += Math.sin(angle) * push;
    });
  });
  return isMoved;
}
