// Wake and sleep of one region, each after a confirmation; what the gateway answered stays until the next click.
import { Alert, Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { apiKey } from "../../shared/apiKey";
import { requestJson } from "../../shared/http";
import { duration } from "../figures";
import { keyOf } from "../stream/fleetState";
import type { FleetRegion } from "../types";
import { type Operation, operationsOf, pathOf, whyNone } from "./operations";

interface Props {
  region: FleetRegion;
  mayOperate: boolean;
  isLive: boolean;
}

export function OperateButtons({ region, mayOperate, isLive }: Props) {
  const { t } = useTranslation("fleet");
  const [asked, setAsked] = useState<Operation | null>(null);
  const run = useMutation({
    mutationFn: (operation: Operation) =>
      requestJson(pathOf(region, operation), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ region: region.region }),
      }),
  });
  const { reset } = run;
  // biome-ignore lint/correctness/useExhaustiveDependencies: an answer is about the region that it was given for
  useEffect(() => reset(), [keyOf(region)]);
  if (!mayOperate)
    return (
      <Text size="sm" c="dimmed">
        {t(apiKey() ? "operate.notAllowed" : "operate.notAllowedWithoutKey")}
      </Text>
    );
  const possible = operationsOf(region);
  const reason = whyNone(region);
  const confirm = () => {
    if (asked) run.mutate(asked);
    setAsked(null);
  };
  return (
    <Stack gap="xs">
      <Group>
        {(["wake", "sleep"] as const).map((operation) => (
          <Button
            key={operation}
            variant={operation === "wake" ? "filled" : "default"}
            disabled={!isLive || !possible[operation]}
            loading={run.isPending && run.variables === operation}
            onClick={() => setAsked(operation)}
          >
            {t(`operate.${operation}`)}
          </Button>
        ))}
      </Group>
      {reason && (
        <Text size="sm" c="dimmed">
          {t(`operate.none.${reason}`)}
        </Text>
      )}
      <div aria-live="polite">
        {run.isError && <Alert color="red">{run.error.message}</Alert>}
        {run.isSuccess && <Text size="sm">{t(`operate.${run.variables}Done`)}</Text>}
      </div>
      {/* Composed, because a whole Modal has a header, which a page has one of already. */}
      <Modal.Root opened={asked !== null} onClose={() => setAsked(null)} centered>
        <Modal.Overlay />
        <Modal.Content>
          <Modal.Body>
            <Stack>
              <Modal.Title>
                {asked && t(`operate.${asked}Title`, { region: region.region, model: region.name })}
              </Modal.Title>
              <Text>
                {asked &&
                  t(`operate.${asked}Question`, {
                    expected: duration(t, region.predicted_wake_seconds),
                    servers: region.pools.reduce((total, pool) => total + pool.ready + pool.starting, 0),
                  })}
              </Text>
              <Group justify="flex-end">
                <Button variant="default" onClick={() => setAsked(null)}>
                  {t("operate.cancel")}
                </Button>
                <Button onClick={confirm} data-autofocus>
                  {asked && t(`operate.${asked}`)}
                </Button>
              </Group>
            </Stack>
          </Modal.Body>
        </Modal.Content>
      </Modal.Root>
    </Stack>
  );
}
