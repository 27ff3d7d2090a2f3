// The world with a marker per place that has regions. The table has the same in text; this is its picture.
import { Text } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import type { KeyboardEvent } from "react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { ComposableMap, Geographies, Geography, useMapContext } from "react-simple-maps/core";
import atlas from "world-atlas/countries-110m.json?url";
import classes from "../fleet.module.css";
import { PhaseShape } from "../PhaseMark";
import { mostUrgent } from "../phases";
import { keyOf, type RegionKey } from "../stream/fleetState";
import type { FleetRegion } from "../types";
import { layOut, type Site } from "./layout";

// The inhabited latitudes: without the poles the map is as wide as the page and not too high.
const [WIDTH, HEIGHT] = [960, 430];
const MAP_SIZE = { width: WIDTH, height: HEIGHT };
const PROJECTION = { scale: 165, center: [8, 17] as [number, number] };
const SPACING = { x: 74, y: 40 };
// A map of 360 pixels would have markers of 5: they grow as it shrinks.
const LARGEST_SCALE = 2.3;

interface Props {
  regions: readonly FleetRegion[];
  selected: RegionKey | null;
  onSelect: (key: RegionKey) => void;
}

export function FleetMap(props: Props) {
  const { t } = useTranslation("fleet");
  const { ref, width } = useElementSize<HTMLElement>();
  const scale = width ? Math.min(LARGEST_SCALE, Math.max(1, (WIDTH * 0.85) / width)) : 1;
  const unplaced = props.regions.filter((region) => !region.place).length;
  return (
    <figure ref={ref} className={classes.figure}>
      <ComposableMap
        width={WIDTH}
        height={HEIGHT}
        projection="geoEqualEarth"
        projectionConfig={PROJECTION}
        className={classes.map ?? ""}
        role="group"
        aria-label={t("map.label")}
      >
        <Geographies geography={atlas} aria-hidden="true">
          {({ geographies }) =>
            geographies.map((each) => (
              <Geography key={each.rsmKey} geography={each} className={classes.land ?? ""} tabIndex={-1} />
            ))
          }
        </Geographies>
        <Markers {...props} scale={scale} />
      </ComposableMap>
      {unplaced > 0 && (
        <Text component="figcaption" size="sm" c="dimmed">
          {t("map.unplaced", { count: unplaced })}
        </Text>
      )}
    </figure>
  );
}

function Markers({ regions, selected, onSelect, scale }: Props & { scale: number }) {
  const { projection } = useMapContext();
  const sites = useMemo(() => {
    const project = (longitude: number, latitude: number) => {
      const found = projection([longitude, latitude]);
      return found && { x: found[0], y: found[1] };
    };
    return layOut(regions, project, { x: SPACING.x * scale, y: SPACING.y * scale }, MAP_SIZE);
  }, [regions, projection, scale]);
  return sites.map((site) => (
    <SiteMarker key={site.name} site={site} scale={scale} selected={selected} onSelect={onSelect} />
  ));
}

interface MarkerProps {
  site: Site;
  scale: number;
  selected: RegionKey | null;
  onSelect: (key: RegionKey) => void;
}

/** A click on a place with several regions goes from one to the next. */
function SiteMarker({ site, scale, selected, onSelect }: MarkerProps) {
  const { t } = useTranslation("fleet");
  const phase = mostUrgent(site.regions);
  const keys = site.regions.map(keyOf);
  const at = selected === null ? -1 : keys.indexOf(selected);
  const choose = () => onSelect(keys[(at + 1) % keys.length] ?? "");
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose();
  };
  const label = site.regions.map((each) => `${each.name} ${each.region}: ${t(`phases.${each.phase}`)}`).join("; ");
  const isMoved = Math.hypot(site.shown.x - site.at.x, site.shown.y - site.at.y) > 3;
  return (
    <g>
      {isMoved && (
        <>
          <line className={classes.leader} x1={site.at.x} y1={site.at.y} x2={site.shown.x} y2={site.shown.y} />
          <circle className={classes.place} cx={site.at.x} cy={site.at.y} r={2.5 * scale} />
        </>
      )}
      {/* biome-ignore lint/a11y/useSemanticElements: SVG has no button */}
      <g
        role="button"
        tabIndex={0}
        aria-label={label}
        aria-pressed={at >= 0}
        className={classes.marker}
        data-phase={phase}
        data-selected={at >= 0 || undefined}
        transform={`translate(${site.shown.x},${site.shown.y}) scale(${scale})`}
        onClick={choose}
        onKeyDown={onKeyDown}
      >
        <title>{label}</title>
        <circle r={13} className={classes.halo} />
        <PhaseShape phase={phase} />
        <text className={classes.name} textAnchor="middle" y={28}>
          {site.regions.length > 1 ? `${site.name} (${site.regions.length})` : site.name}
        </text>
      </g>
    </g>
  );
}
