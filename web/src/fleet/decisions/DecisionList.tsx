// The newest routing decisions: where each request went and why, and what the other regions lacked.
import { Accordion, Badge, Group, List, Text, Title } from "@mantine/core";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { duration, shortDuration } from "../figures";
import type { Fleet } from "../stream/fleetState";
import type { DecisionRegion, FleetDecision } from "../types";
import { decisionText, reasonText } from "./reasons";

const COLORS = { serve: "teal.9", hold: "orange.9", refuse: "red.9" } as const;

export function DecisionList({ fleet, now }: { fleet: Fleet; now: number }) {
  const { t } = useTranslation("fleet");
  return (
    <section aria-labelledby="decisions-title">
      <Title order={2} size="h4" id="decisions-title" mb="xs">
        {t("decisions.title")}
      </Title>
      {fleet.decisions.length === 0 && <Text c="dimmed">{t("decisions.none")}</Text>}
      <Accordion multiple variant="contained" order={3}>
        {fleet.decisions.map((decision) => (
          <DecisionItem key={decision.id} decision={decision} now={now + fleet.clockSkewMs} />
        ))}
      </Accordion>
    </section>
  );
}

function DecisionItem({ decision, now }: { decision: FleetDecision; now: number }) {
  const { t } = useTranslation("fleet");
  const age = duration(t, (now - Date.parse(decision.at)) / 1000);
  const outcome = t(`decisions.${decision.action}`, { region: decision.region ?? "" });
  return (
    <Accordion.Item value={decision.id}>
      <Accordion.Control>
        <Group gap="xs">
          <Badge color={COLORS[decision.action]} tt="none">
            {outcome}
          </Badge>
          <Text size="sm" fw={600}>
            {t(`routes.${decision.route}`, { defaultValue: decision.route })}
          </Text>
          <Text size="sm" c="dimmed">
            {[decision.name, decision.country, decision.tenant, t("decisions.ago", { age })]
              .filter(Boolean)
              .join(" · ")}
          </Text>
        </Group>
      </Accordion.Control>
      <Accordion.Panel>
        <Text size="sm">{decisionText(t, decision)}</Text>
        <List size="sm" mt="xs" spacing={2}>
          {decision.regions.map((each) => (
            <List.Item key={each.region}>
              <b>{each.region}</b>{" "}
              {t(each.is_chosen ? "decisions.chosen" : "decisions.notUsed", { reason: reasonText(t, each.reason) })}{" "}
              <Text span size="xs" c="dimmed">
                {offer(t, each)}
              </Text>
            </List.Item>
          ))}
        </List>
        <Text size="xs" c="dimmed" mt="xs">
          {t("decisions.request", { id: decision.request_id, route: decision.route, gateway: decision.gateway })}
        </Text>
      </Accordion.Panel>
    </Accordion.Item>
  );
}

/** How far the region is, and in what time it is expected to answer: what the regions were compared by. */
function offer(t: TFunction<"fleet">, { rtt_seconds: rtt, score_seconds: score }: DecisionRegion): string {
  const roundTrip = shortDuration(t, rtt);
  return score === null
    ? t("decisions.roundTrip", { roundTrip })
    : t("decisions.score", { roundTrip, score: shortDuration(t, score) });
}
