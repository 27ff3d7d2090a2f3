// Price, and what sleeping and spot machines have saved this month: the ledger's sums, going on at its rates.
import { SimpleGrid, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { costNow } from "../figures";
import type { FleetRegion } from "../types";

export function CostFigures({ region, now }: { region: FleetRegion; now: number }) {
  const { t, i18n } = useTranslation("fleet");
  const format = (value: number, digits: number) =>
    value.toLocaleString(i18n.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const price = region.price_per_gpu_hour;
  const cost = region.cost && costNow(region.cost, now);
  if (price === null && !cost) return null;
  const figures: [string, string][] = price === null ? [] : [["price", format(price, 2)]];
  if (cost && region.cost?.is_priced) {
    figures.push(["paid", format(cost.paid, 2)], ["saved", format(cost.saved, 2)]);
  } else if (cost) {
    figures.push(["gpuHours", format(cost.gpuHours, 1)], ["avoidedGpuHours", format(cost.avoidedGpuHours, 1)]);
  }
  if (cost && cost.savedRatio !== null) figures.push(["savedRatio", `${format(100 * cost.savedRatio, 1)} %`]);
  return (
    <SimpleGrid cols={2} spacing="xs" verticalSpacing="xs" component="dl" m={0}>
      {figures.map(([name, value]) => (
        <Stack key={name} gap={0}>
          <Text component="dt" size="xs" c="dimmed">
            {t(`cost.${name}`)}
          </Text>
          <Text component="dd" fw={700} m={0}>
            {value}
          </Text>
        </Stack>
      ))}
    </SimpleGrid>
  );
}
