// Voices: picker with preview and search, and the dialog that adds one.
import { Alert, Button, Group, Loader, Paper, Radio, ScrollArea, Stack, Text, TextInput, Title } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { resolveVoice, useVoices, type Voice, type VoiceList } from "../../api/catalog";
import { ErrorText } from "../../shared/ErrorText";
import { useClips, useSpeechStopsClips } from "../clips/useClips";
import { useSettings } from "../settings/SettingsContext";
import { AddVoice } from "./AddVoice";
import { VoiceRow } from "./VoiceRow";

const SEARCH_FROM = 8; // voices: fewer are seen at once
const LIST_HEIGHT = 300;

function matchesSearch(voice: Voice, label: string, search: string): boolean {
  const wanted = search.trim().toLocaleLowerCase();
  return [label, voice.name, voice.id].some((text) => text.toLocaleLowerCase().includes(wanted));
}

function VoiceChoice({ list }: { list: VoiceList }) {
  const { t } = useTranslation("voices");
  const { settings, change } = useSettings();
  const clips = useClips();
  const [search, setSearch] = useState("");
  const chosen = resolveVoice(list, settings.voice);
  const labelOf = (voice: Voice) => (voice.type === "built_in" ? t(`builtIn.${voice.id}.name`) : voice.name);
  const shown = list.data.filter((voice) => matchesSearch(voice, labelOf(voice), search));
  return (
    <Stack gap="xs">
      {chosen === null && (
        <Alert color="orange" role="alert">
          {t("unknown", { voice: settings.voice })}
        </Alert>
      )}
      {list.data.length > SEARCH_FROM && (
        <TextInput
          size="sm"
          type="search"
          label={t("search")}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
        />
      )}
      <ScrollArea.Autosize mah={LIST_HEIGHT} type="auto" viewportProps={{ tabIndex: -1 }}>
        <Radio.Group aria-label={t("title")} value={chosen?.id ?? null} onChange={(voice) => change({ voice })}>
          <Stack gap="xs" p={4}>
            {shown.map((voice) => (
              <VoiceRow key={voice.id} voice={voice} label={labelOf(voice)} clips={clips} />
            ))}
          </Stack>
        </Radio.Group>
      </ScrollArea.Autosize>
      {shown.length === 0 && <Text size="sm">{t("noneFound", { search })}</Text>}
    </Stack>
  );
}

export function VoicePanel() {
  const { t } = useTranslation("voices");
  const voices = useVoices();
  const [isAdding, setIsAdding] = useState(false);
  useSpeechStopsClips();
  return (
    <Paper component="section" aria-labelledby="voices-title" withBorder p="md">
      <Stack gap="sm">
        <Group justify="space-between">
          <Title order={2} size="h4" id="voices-title">
            {t("title")}
          </Title>
          <Button variant="light" size="xs" onClick={() => setIsAdding(true)}>
            {t("add.button")}
          </Button>
        </Group>
        {voices.isPending && <Loader size="sm" role="status" aria-label={t("loading")} />}
        {voices.error && (
          <Alert color="red" role="alert">
            <ErrorText error={voices.error} />
          </Alert>
        )}
        {voices.data && <VoiceChoice list={voices.data} />}
      </Stack>
      <AddVoice opened={isAdding} close={() => setIsAdding(false)} />
    </Paper>
  );
}
