// Everything about one region: servers by pool, requests, the wake under way, sleep, price, what was saved.
import { Alert, Card, Group, Stack, Table, Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { duration } from "../figures";
import { PhaseMark } from "../PhaseMark";
import type { Fleet } from "../stream/fleetState";
import type { FleetRegion } from "../types";
import { CostFigures } from "./CostFigures";
import { countsOf, countText } from "./counts";
import { OperateButtons } from "./OperateButtons";
import { WakeProgress } from "./WakeProgress";

interface Props {
  region: FleetRegion;
  fleet: Fleet;
  now: number;
  isLive: boolean;
}

export function RegionDetails({ region, fleet, now, isLive }: Props) {
  const { t } = useTranslation("fleet");
  const serverNow = now + fleet.clockSkewMs;
  return (
    <Card component="section" withBorder aria-labelledby="region-title">
      <Stack gap="sm">
        <div>
          <Title order={2} size="h4" id="region-title">
            {t("details.title", { model: region.name, region: region.region })}
          </Title>
          <Group gap={6} mt={4}>
            <PhaseMark phase={region.phase} />
            <Text fw={600}>{t(`phases.${region.phase}`)}</Text>
            <Text size="sm" c="dimmed">
              {known(t, region, serverNow)}
            </Text>
          </Group>
        </div>
        {region.message && (
          <Alert color="red" title={t("details.failed")}>
            {region.message}
          </Alert>
        )}
        {region.fault && (
          <Alert color="orange" title={t("details.unreached")}>
            {region.fault}
          </Alert>
        )}
        {region.wake && <WakeProgress wake={region.wake} now={serverNow} />}
        <Facts region={region} now={serverNow} />
        <Pools region={region} />
        <CostFigures region={region} now={serverNow} />
        <OperateButtons region={region} mayOperate={fleet.mayOperate} isLive={isLive} />
      </Stack>
    </Card>
  );
}

type Translate = ReturnType<typeof useTranslation<"fleet">>["t"];

function known(t: Translate, region: FleetRegion, now: number): string {
  const by = t(`knownBy.${region.known_by}`);
  if (!region.as_of) return by;
  // The gateway rounds it down to ten seconds, so that a row without other news is sent rarely.
  const seconds = (now - Date.parse(region.as_of)) / 1000;
  return seconds < 30 ? by : t("details.knownAge", { by, age: duration(t, seconds) });
}

function Facts({ region, now }: { region: FleetRegion; now: number }) {
  const { t } = useTranslation("fleet");
  const since = (moment: string) => duration(t, (now - Date.parse(moment)) / 1000);
  const until = (moment: string) => duration(t, (Date.parse(moment) - now) / 1000);
  const isPlain = !region.wake && region.phase === "Asleep";
  const facts: [string, string | null][] = [
    ["open", openRequests(t, region)],
    ["held", heldRequests(t, region)],
    ["asleepSince", region.asleep_since && since(region.asleep_since)],
    ["awakeUntil", region.awake_until && until(region.awake_until)],
    ["sleepAsked", region.sleep_asked_at && since(region.sleep_asked_at)],
    ["wakeTakes", isPlain ? duration(t, region.predicted_wake_seconds) : null],
    ["model", region.model],
  ];
  return (
    <Table variant="vertical" verticalSpacing={4}>
      <Table.Tbody>
        {facts.map(
          ([name, value]) =>
            value !== null && (
              <Table.Tr key={name}>
                <Table.Th scope="row" w="55%">
                  {t(`facts.${name}`)}
                </Table.Th>
                <Table.Td>{value}</Table.Td>
              </Table.Tr>
            ),
        )}
      </Table.Tbody>
    </Table>
  );
}

function openRequests(t: Translate, region: FleetRegion): string {
  const { running, rows } = region;
  const open = countText(countsOf([region]).open);
  return rows ? t("facts.openOf", { open, running, rows }) : open;
}

function heldRequests(t: Translate, region: FleetRegion): string {
  const [count, held] = [region.silent_gateways, region.held_requests];
  return count ? t("facts.heldSilent", { held, count }) : countText(countsOf([region]).held);
}

function Pools({ region: { pools, is_stale: isStale } }: { region: FleetRegion }) {
  const { t } = useTranslation("fleet");
  if (isStale) return <Text size="sm">{t("pools.unknown")}</Text>;
  if (!pools.length) return <Text size="sm">{t("pools.none")}</Text>;
  return (
    <Table verticalSpacing={4}>
      <Table.Thead>
        <Table.Tr>
          {(["pool", "ready", "starting", "draining"] as const).map((column) => (
            <Table.Th key={column} scope="col">
              {t(`pools.${column}`)}
            </Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {pools.map((pool) => (
          <Table.Tr key={pool.pool}>
            <Table.Th scope="row">{t(`pools.names.${pool.pool}`)}</Table.Th>
            <Table.Td>{pool.ready}</Table.Td>
            <Table.Td>{pool.starting}</Table.Td>
            <Table.Td>{pool.draining}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
