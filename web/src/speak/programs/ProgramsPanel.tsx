// How a program speaks with this server: its base URL, its model's names, and requests to copy.
import { Button, Code, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { modelName, useModels } from "../../api/catalog";
import { apiKey } from "../../shared/apiKey";
import { copied } from "../../shared/clipboard";
import { useSettings } from "../settings/SettingsContext";
import { type Snippet, snippets } from "./snippets";

function SnippetRow({ snippet, report }: { snippet: Snippet; report: (message: string) => void }) {
  const { t } = useTranslation("programs");
  const what = t(`snippets.${snippet.name}`);
  const copy = async () => report(t((await copied(snippet.text)) ? "copied" : "copyByHand", { what }));
  return (
    <div>
      <Group justify="space-between" mb={4}>
        <Text size="sm">{what}</Text>
        <Button variant="default" size="compact-xs" aria-label={t("copyLabel", { what })} onClick={copy}>
          {t("copy")}
        </Button>
      </Group>
      {/* Focusable, so that a keyboard can scroll it. */}
      <Code block tabIndex={0} role="region" aria-label={what}>
        {snippet.text}
      </Code>
    </div>
  );
}

export function ProgramsPanel() {
  const { t } = useTranslation("programs");
  const { settings } = useSettings();
  const models = useModels().data;
  const [message, report] = useState("");
  const model = modelName(settings.model, models);
  if (model === null) return null;
  const names = models?.map(({ id }) => id).join(", ");
  return (
    <Paper component="section" aria-labelledby="programs-title" withBorder p="md">
      <Stack gap="sm">
        <Title order={2} size="h4" id="programs-title">
          {t("title")}
        </Title>
        <Text size="sm">{t("help")}</Text>
        <Text size="sm">{t("names", { names })}</Text>
        {snippets(window.location.origin, model, settings.voice, apiKey() !== "").map((snippet) => (
          <SnippetRow key={snippet.name} snippet={snippet} report={report} />
        ))}
        <Text size="sm" role="status">
          {message}
        </Text>
      </Stack>
    </Paper>
  );
}
