// Whether what the page shows is live, and since when it is not.
import { Alert, Badge, Group, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { duration } from "../figures";
import type { FleetConnection } from "./useFleet";

export function StreamStatus({ connection, now }: { connection: FleetConnection; now: number }) {
  const { t } = useTranslation("fleet");
  const { fleet, isLive, newestMs, fault } = connection;
  if (isLive && fleet)
    return (
      <Group gap="xs" role="status">
        <Badge color="teal.9" tt="none">
          {t("stream.live")}
        </Badge>
        <Text size="sm" c="dimmed">
          {t("stream.source", { gateway: fleet.gateway, region: fleet.gatewayRegion || "—" })}
        </Text>
      </Group>
    );
  if (!fleet && !fault && newestMs === null) return <Text role="status">{t("stream.connecting")}</Text>;
  const age = newestMs === null ? "" : t("stream.staleSince", { age: duration(t, (now - newestMs) / 1000) });
  return (
    <Alert role="alert" color="orange" title={newestMs === null ? t("stream.unreached") : age}>
      {fault || t("stream.reconnecting")}
    </Alert>
  );
}
