// What was spoken in this browser, with its settings and audio.
import { Alert, Button, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ConfirmButton } from "../../shared/ConfirmButton";
import { useClips } from "../clips/useClips";
import { HISTORY_LIMITS } from "./entries";
import { HistoryRow } from "./HistoryRow";
import { useHistory } from "./useHistory";

const FIRST_ROWS = 8; // more would push what is below them off a phone

export function HistoryPanel() {
  const { t } = useTranslation("history");
  const { entries, isKept, remove } = useHistory();
  const clips = useClips();
  const [isWhole, setIsWhole] = useState(false);
  const shown = isWhole ? entries : entries.slice(0, FIRST_ROWS);
  const limits = { entries: HISTORY_LIMITS.entries, megabytes: HISTORY_LIMITS.bytes / 2 ** 20 };
  return (
    <Paper component="section" aria-labelledby="history-title" withBorder p="md">
      <Stack gap="sm">
        <Group justify="space-between">
          <Title order={2} size="h4" id="history-title">
            {t("title")}
          </Title>
          {entries.length > 0 && (
            <ConfirmButton
              question={t("clear.question", { count: entries.length })}
              confirm={t("clear.confirm")}
              onConfirm={() => remove(entries.map(({ id }) => id))}
            >
              {(ask) => (
                <Button variant="default" size="compact-sm" onClick={ask}>
                  {t("clear.button")}
                </Button>
              )}
            </ConfirmButton>
          )}
        </Group>
        {!isKept && <Alert color="orange">{t("notKept")}</Alert>}
        <Stack component="ul" gap="xs" p={0} m={0} style={{ listStyle: "none" }}>
          {shown.map((entry) => (
            <HistoryRow key={entry.id} entry={entry} clips={clips} remove={() => remove([entry.id])} />
          ))}
        </Stack>
        {entries.length > FIRST_ROWS && (
          <Button variant="default" size="xs" aria-expanded={isWhole} onClick={() => setIsWhole(!isWhole)}>
            {isWhole ? t("showFewer", { count: FIRST_ROWS }) : t("showAll", { count: entries.length })}
          </Button>
        )}
        <Text size="xs" c="dimmed">
          {t(entries.length === 0 ? "empty" : "help", limits)}
        </Text>
      </Stack>
    </Paper>
  );
}
