// One speech of the history: play it from this browser, restore its settings, save it as a file, delete it.
import { ActionIcon, Badge, Group, Paper, Stack, Text } from "@mantine/core";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { resolveVoice, useVoices } from "../../api/catalog";
import { ErrorText } from "../../shared/ErrorText";
import { ClipButton } from "../clips/ClipButton";
import { DeleteIcon, RestoreIcon } from "../clips/icons";
import type { Clips } from "../clips/useClips";
import { clock } from "../clock";
import type { FinishedSpeech } from "../playback/finishedSpeech";
import { useSettings } from "../settings/SettingsContext";
import { DownloadMenu, useSaveAgain } from "./DownloadMenu";
import { type HistoryEntry, settingsOf } from "./entries";

const LABEL_CHARACTERS = 40;
const SHOWN_CHARACTERS = 400; // more than two lines of the widest page

function shortened(text: string): string {
  return text.length <= LABEL_CHARACTERS ? text : `${text.slice(0, LABEL_CHARACTERS)}…`;
}

/** Voice, seed and whatever differs from the defaults, in one line. */
function facts(t: TFunction<"history">, speech: FinishedSpeech, voice: string): string {
  const { cfgValue, inferenceTimesteps, speed } = speech.settings;
  return [
    t("facts.voice", { voice }),
    t("facts.seed", { seed: speech.seed }),
    cfgValue !== null && t("facts.cfgValue", { value: cfgValue }),
    inferenceTimesteps !== null && t("facts.timesteps", { value: inferenceTimesteps }),
    speed !== 1 && t("facts.speed", { value: speed }),
  ]
    .filter(Boolean)
    .join(" · ");
}

function lengthText(t: TFunction<"history">, seconds: number): string {
  return seconds < 60 ? t("facts.seconds", { seconds: seconds.toFixed(1) }) : clock(Math.round(seconds));
}

function useVoiceLabel(name: string): string {
  const { t } = useTranslation("voices");
  const list = useVoices().data;
  const voice = list ? resolveVoice(list, name) : null;
  if (voice === null) return name;
  return voice.type === "built_in" ? t(`builtIn.${voice.id}.name`) : voice.name;
}

function Facts({ speech }: { speech: FinishedSpeech }) {
  const { t, i18n } = useTranslation("history");
  const voice = useVoiceLabel(speech.settings.voice);
  const time = new Intl.DateTimeFormat(i18n.language, { dateStyle: "short", timeStyle: "short" });
  return (
    <Group gap="xs">
      <Text size="xs" c="dimmed">
        {time.format(speech.startedAt)} · {lengthText(t, speech.durationSeconds)} · {facts(t, speech, voice)}
      </Text>
      {!speech.isComplete && (
        <Badge size="xs" variant="default">
          {t("incomplete")}
        </Badge>
      )}
    </Group>
  );
}

export function HistoryRow({ entry, clips, remove }: { entry: HistoryEntry; clips: Clips; remove: () => void }) {
  const { t } = useTranslation("history");
  const { change } = useSettings();
  const { speech } = entry;
  const again = useSaveAgain(speech);
  const text = shortened(speech.settings.text);
  return (
    <Paper component="li" withBorder p="xs">
      <Group wrap="nowrap" align="flex-start" gap="xs">
        <ClipButton
          clips={clips}
          clipKey={`history:${entry.id}`}
          load={async () => speech.audio}
          playLabel={t("play", { text })}
          stopLabel={t("stop", { text })}
        />
        <Stack gap={2} flex={1} miw={0}>
          <Text size="sm" lineClamp={2} style={{ overflowWrap: "anywhere" }}>
            {speech.settings.text.slice(0, SHOWN_CHARACTERS)}
          </Text>
          <Facts speech={speech} />
          {again.error && (
            <Text size="xs" c="red.9" role="alert">
              <ErrorText error={again.error} />
            </Text>
          )}
        </Stack>
        <Group gap={2} wrap="nowrap">
          <DownloadMenu speech={speech} label={t("download.label", { text })} again={again} />
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t("restore", { text })}
            title={t("restoreHelp")}
            onClick={() => change(settingsOf(speech))}
          >
            <RestoreIcon />
          </ActionIcon>
          <ActionIcon variant="subtle" color="gray" aria-label={t("delete", { text })} onClick={remove}>
            <DeleteIcon />
          </ActionIcon>
        </Group>
      </Group>
    </Paper>
  );
}
