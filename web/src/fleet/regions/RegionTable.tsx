// All regions as a table: what the map shows, in text, for the keyboard and for screen readers.
import { Badge, Group, Table, Text, UnstyledButton } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { duration } from "../figures";
import classes from "../fleet.module.css";
import { PhaseMark } from "../PhaseMark";
import { type Fleet, keyOf, type RegionKey } from "../stream/fleetState";
import type { FleetRegion } from "../types";
import { countsOf, countText } from "./counts";

interface Props {
  fleet: Fleet;
  now: number;
  selected: RegionKey | null;
  onSelect: (key: RegionKey) => void;
}

export function RegionTable({ fleet, now, selected, onSelect }: Props) {
  const { t } = useTranslation("fleet");
  const columns = ["region", "phase", "servers", "open", "held"] as const;
  return (
    <Table.ScrollContainer minWidth={340} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
      <Table verticalSpacing="xs" horizontalSpacing={3} fz="sm" highlightOnHover>
        <Table.Caption>{t("table.caption")}</Table.Caption>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) => (
              <Table.Th key={column} scope="col" className={classes.count ?? ""}>
                {t(`table.${column}`)}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {fleet.regions.map((region) => (
            <RegionRow
              key={keyOf(region)}
              region={region}
              now={now + fleet.clockSkewMs}
              isSelected={keyOf(region) === selected}
              onSelect={onSelect}
            />
          ))}
        </Table.Tbody>
        {fleet.regions.length > 1 && (
          <Table.Tfoot>
            <Table.Tr>
              <Table.Th scope="row" colSpan={2}>
                {t("table.all", { count: fleet.regions.length })}
              </Table.Th>
              <CountCells regions={fleet.regions} />
            </Table.Tr>
          </Table.Tfoot>
        )}
      </Table>
    </Table.ScrollContainer>
  );
}

interface RowProps {
  region: FleetRegion;
  now: number;
  isSelected: boolean;
  onSelect: (key: RegionKey) => void;
}

function RegionRow({ region, now, isSelected, onSelect }: RowProps) {
  const { t } = useTranslation("fleet");
  const choose = () => onSelect(keyOf(region));
  return (
    <Table.Tr className={classes.row} data-selected={isSelected || undefined} onClick={choose}>
      <Table.Td>
        <Group gap={6} className={classes.region ?? ""}>
          <UnstyledButton fz="sm" fw={600} aria-pressed={isSelected} onClick={choose}>
            {region.region}
          </UnstyledButton>
          {!region.is_here && (
            <Badge size="xs" px={4} variant="default" tt="none">
              {t("table.elsewhere")}
            </Badge>
          )}
        </Group>
        <Text size="xs" c="dimmed">
          {region.namespace}/<wbr />
          {region.name}
        </Text>
      </Table.Td>
      <Table.Td>
        <Group gap={6} wrap="nowrap">
          <PhaseMark phase={region.phase} />
          <span>{t(`phases.${region.phase}`)}</span>
        </Group>
        <Text size="xs" c="dimmed" lineClamp={2} className={classes.note ?? ""}>
          <PhaseNote region={region} now={now} />
        </Text>
      </Table.Td>
      <CountCells regions={[region]} />
    </Table.Tr>
  );
}

/** The one fact beside a phase: why it failed, how long it sleeps, how far the wake is, that the report is old. */
function PhaseNote({ region, now }: { region: FleetRegion; now: number }) {
  const { t } = useTranslation("fleet");
  const since = (moment: string) => duration(t, (now - Date.parse(moment)) / 1000);
  if (region.is_stale) return t("note.stale");
  if (region.wake?.started_at)
    return t("note.waking", {
      elapsed: since(region.wake.started_at),
      expected: duration(t, region.wake.expected_seconds),
    });
  if (region.sleep_asked_at) return t("note.sleepAsked");
  if (region.message) return region.message;
  if (region.awake_until && Date.parse(region.awake_until) > now)
    return t("note.sleepsIn", { left: duration(t, (Date.parse(region.awake_until) - now) / 1000) });
  if (region.asleep_since) return t("note.asleepFor", { age: since(region.asleep_since) });
  return null;
}

/** Servers, open and held requests, of one region or of all. */
function CountCells({ regions }: { regions: readonly FleetRegion[] }) {
  const { t } = useTranslation("fleet");
  const { ready, starting, open, held } = countsOf(regions);
  const servers = countText(ready);
  return (
    <>
      <Table.Td className={classes.count ?? ""}>
        {servers}
        {starting.value > 0 && (
          <>
            {` + ${starting.value} `}
            <Text span inherit visibleFrom="sm">
              {t("table.starting")}
            </Text>
          </>
        )}
      </Table.Td>
      <Table.Td>{countText(open)}</Table.Td>
      <Table.Td>{countText(held)}</Table.Td>
    </>
  );
}
