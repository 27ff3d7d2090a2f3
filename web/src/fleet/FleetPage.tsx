// The fleet page: regions on a map and in a table, one of them in detail, the newest routing decisions.
import { Container, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { PageHeader } from "../shared/PageHeader";
import { DecisionList } from "./decisions/DecisionList";
import classes from "./fleet.module.css";
import { KeyPanel } from "./KeyPanel";
import { FleetMap } from "./map/FleetMap";
import { PhaseMark } from "./PhaseMark";
import { countByPhase } from "./phases";
import { RegionDetails } from "./regions/RegionDetails";
import { RegionTable } from "./regions/RegionTable";
import { type Fleet, keyOf, type RegionKey } from "./stream/fleetState";
import { StreamStatus } from "./stream/StreamStatus";
import { useFleet } from "./stream/useFleet";
import { useNow } from "./stream/useNow";
import { type FleetRegion, PHASES } from "./types";

export function FleetPage() {
  const { t } = useTranslation("fleet");
  const [attempt, setAttempt] = useState(0);
  const connection = useFleet(attempt);
  const now = useNow();
  return (
    <Container size="xl" pb="xl">
      <PageHeader title={t("title")} />
      <Stack component="main">
        {connection.needsKey ? (
          <KeyPanel fault={connection.fault} onChange={() => setAttempt(attempt + 1)} />
        ) : (
          <StreamStatus connection={connection} now={now} />
        )}
        {connection.fleet && <FleetView fleet={connection.fleet} now={now} isLive={connection.isLive} />}
      </Stack>
    </Container>
  );
}

function FleetView({ fleet, now, isLive }: { fleet: Fleet; now: number; isLive: boolean }) {
  const { t } = useTranslation("fleet");
  const [selected, setSelected] = useState<RegionKey | null>(null);
  const shown = fleet.regions.find((region) => keyOf(region) === selected) ?? firstShown(fleet);
  if (!shown) return <Text>{t("empty")}</Text>;
  const choice = { selected: keyOf(shown), onSelect: setSelected };
  return (
    <div className={classes.page}>
      <Stack className={classes.overview ?? ""}>
        <Legend fleet={fleet} />
        <FleetMap regions={fleet.regions} {...choice} />
      </Stack>
      <div className={classes.details}>
        <RegionDetails region={shown} fleet={fleet} now={now} isLive={isLive} />
      </div>
      <div className={classes.table}>
        <RegionTable fleet={fleet} now={now} {...choice} />
      </div>
      <div className={classes.decisions}>
        <DecisionList fleet={fleet} now={now} />
      </div>
    </div>
  );
}

/** Before a choice: a region that wakes, else one of this gateway's own. */
function firstShown(fleet: Fleet): FleetRegion | undefined {
  const { regions } = fleet;
  const own = regions.find((region) => region.region === fleet.gatewayRegion);
  return regions.find((region) => region.phase === "Waking") ?? own ?? regions[0];
}

function Legend({ fleet }: { fleet: Fleet }) {
  const { t } = useTranslation("fleet");
  const counts = countByPhase(fleet.regions);
  return (
    <Group component="ul" gap="md" m={0} p={0} className={classes.legend ?? ""} aria-label={t("legend")}>
      {PHASES.map((phase) => (
        <Group key={phase} component="li" gap={6}>
          <PhaseMark phase={phase} />
          <Text size="sm">{t("legendItem", { phase: t(`phases.${phase}`), count: counts.get(phase) ?? 0 })}</Text>
        </Group>
      ))}
    </Group>
  );
}
