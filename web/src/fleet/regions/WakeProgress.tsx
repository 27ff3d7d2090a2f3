// A wake that is under way: its parts as they end, and how long it may still take.
import { Progress, Stack, Text, VisuallyHidden } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { duration, shortSeconds, wakeShare } from "../figures";
import classes from "../fleet.module.css";
import type { WakeState } from "../types";

const SIGNS = { done: "✓", current: "▶", pending: "·" } as const;

export function WakeProgress({ wake, now }: { wake: WakeState; now: number }) {
  const { t } = useTranslation("fleet");
  const elapsed = wake.started_at ? Math.max(0, (now - Date.parse(wake.started_at)) / 1000) : null;
  const share = elapsed === null ? 0 : wakeShare(elapsed, wake.expected_seconds);
  const text =
    elapsed === null
      ? t("wake.expected", { expected: duration(t, wake.expected_seconds) })
      : t("wake.elapsed", { elapsed: duration(t, elapsed), expected: duration(t, wake.expected_seconds) });
  return (
    <Stack gap="xs">
      <Text fw={600}>{t("wake.title")}</Text>
      <Progress.Root size="lg">
        <Progress.Section value={share * 100} color="orange" aria-label={t("wake.title")} aria-valuetext={text} />
      </Progress.Root>
      <Text size="sm">{text}</Text>
      <ol className={classes.parts} aria-label={t("wake.parts")}>
        {wake.parts.map((part) => (
          <li key={part.name} className={classes.part} aria-current={part.state === "current" ? "step" : undefined}>
            <Text span w={16} aria-hidden="true">
              {SIGNS[part.state]}
            </Text>
            <Text span flex={1} size="sm" {...(part.state === "current" ? { fw: 700 } : {})}>
              {t(`wake.part.${part.name}`)}
              <VisuallyHidden>{`, ${t(`wake.state.${part.state}`)}`}</VisuallyHidden>
            </Text>
            <Text span size="sm" c="dimmed">
              {partSeconds(t, part.seconds, part.expected_seconds)}
            </Text>
          </li>
        ))}
      </ol>
    </Stack>
  );
}

type Translate = ReturnType<typeof useTranslation<"fleet">>["t"];

function partSeconds(t: Translate, seconds: number | null, expected: number | null): string {
  const last = expected === null ? "" : t("wake.lastTime", { seconds: shortSeconds(expected) });
  return seconds === null
    ? last
    : [t("wake.took", { seconds: shortSeconds(seconds) }), last].filter(Boolean).join(" · ");
}
