// One voice of the picker: choose it, play its sample, delete it if it is a stored one.
import { ActionIcon, Badge, Group, Radio, Text } from "@mantine/core";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { modelName, useDeleteVoice, useModels, type Voice } from "../../api/catalog";
import { ConfirmButton } from "../../shared/ConfirmButton";
import { ErrorText } from "../../shared/ErrorText";
import { LANGUAGES } from "../../shared/translations";
import { ClipButton } from "../clips/ClipButton";
import { DeleteIcon } from "../clips/icons";
import type { Clips } from "../clips/useClips";
import { drawSeed } from "../settings/SeedSetting";
import { useSettings } from "../settings/SettingsContext";
import { preview, sampleLanguage, speakSample } from "./previews";

const SAMPLE_SEED = 0; // each voice says the same, the same way
const RANDOM = "random";

/** What a voice says for a sample, in a language that the model speaks. */
export function useSampleText(): string {
  const { i18n } = useTranslation("voices");
  const { settings } = useSettings();
  const models = useModels().data;
  const name = modelName(settings.model, models);
  const spoken = models?.find((model) => model.id === name)?.languages;
  const language = sampleLanguage(i18n.language, spoken, LANGUAGES);
  return i18n.t("sample", { ns: "voices", lng: language });
}

function useLoadPreview(voice: Voice): (signal: AbortSignal) => Promise<Blob> {
  const { settings } = useSettings();
  const model = modelName(settings.model, useModels().data) ?? "";
  const text = useSampleText();
  const sample = { voice: voice.id, version: voice.created_at, model, text };
  return (signal) =>
    voice.id === RANDOM
      ? speakSample({ ...sample, seed: drawSeed() }, signal) // another voice each time: nothing to keep
      : preview({ ...sample, seed: SAMPLE_SEED }, signal);
}

function DeleteVoice({ voice }: { voice: Voice }) {
  const { t } = useTranslation("voices");
  const { settings, change } = useSettings();
  const deleting = useDeleteVoice();
  const remove = () => {
    deleting.mutate(voice.id);
    if (settings.voice === voice.id || settings.voice === voice.name) change({ voice: "default" });
  };
  return (
    <ConfirmButton
      question={t("delete.question", { name: voice.name })}
      confirm={t("delete.confirm")}
      onConfirm={remove}
    >
      {(ask) => (
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={t("delete.label", { name: voice.name })}
          loading={deleting.isPending}
          onClick={ask}
        >
          <DeleteIcon />
        </ActionIcon>
      )}
    </ConfirmButton>
  );
}

function description(t: TFunction<"voices">, voice: Voice): string {
  if (voice.type === "built_in") return t(`builtIn.${voice.id}.help`);
  if (voice.status === "unusable") return t("unusable", { reason: voice.reason });
  return voice.seed === undefined ? t("ofRecording") : t("ofSeed", { seed: voice.seed }); // a prompt gives a seed too
}

export function VoiceRow({ voice, label, clips }: { voice: Voice; label: string; clips: Clips }) {
  const { t } = useTranslation("voices");
  const load = useLoadPreview(voice);
  const key = `preview:${voice.id}`;
  const isUnusable = voice.status === "unusable";
  return (
    <>
      <Group wrap="nowrap" gap="xs" justify="space-between">
        <Radio
          value={voice.id}
          label={label}
          description={description(t, voice)}
          disabled={isUnusable}
          styles={{ body: { alignItems: "flex-start" }, label: { overflowWrap: "anywhere" } }}
        />
        <Group wrap="nowrap" gap={4}>
          {voice.status === "pending" && <Badge variant="default">{t("pending")}</Badge>}
          {voice.type !== "built_in" && <DeleteVoice voice={voice} />}
          <ClipButton
            clips={clips}
            clipKey={key}
            load={load}
            disabled={isUnusable}
            playLabel={t("preview", { name: label })}
            stopLabel={t("stopPreview", { name: label })}
          />
        </Group>
      </Group>
      {clips.state.key === key && clips.state.error !== null && (
        <Text size="xs" c="red.9" role="alert">
          {clips.state.error || <ErrorText error={null} />}
        </Text>
      )}
    </>
  );
}
