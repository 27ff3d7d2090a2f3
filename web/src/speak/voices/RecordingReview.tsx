// What the chosen recording is like: play it, its measures, and what is wrong with it.
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { PlayIcon, StopIcon } from "../clips/icons";
import { useClips } from "../clips/useClips";
import { type Finding, type Measured, RECORDING_LIMITS } from "./levels";
import type { Sample } from "./RecordedVoiceForm";

const CLIP = "recording";

function Measures({ measured }: { measured: Measured }) {
  const { t, i18n } = useTranslation("voices");
  const percent = new Intl.NumberFormat(i18n.language, { style: "percent", maximumFractionDigits: 2 });
  return (
    <Text size="sm">
      {t("review.measures", {
        seconds: measured.seconds.toFixed(1),
        dbfs: Math.round(measured.levelDbfs),
        clipped: percent.format(measured.clippedShare),
      })}
    </Text>
  );
}

export function RecordingReview({ sample, found }: { sample: Sample; found: readonly Finding[] }) {
  const { t } = useTranslation("voices");
  const clips = useClips();
  const isPlaying = clips.state.key === CLIP && clips.state.phase !== "idle";
  const { minSeconds, maxSeconds, minLevelDbfs, maxClippedShare, maxBytes } = RECORDING_LIMITS;
  const limits = {
    minSeconds,
    maxSeconds,
    minLevelDbfs,
    percent: maxClippedShare * 100,
    megabytes: maxBytes / 2 ** 20,
  };
  return (
    <Stack gap="xs" role="status">
      <Group>
        <Button
          size="xs"
          variant="default"
          leftSection={isPlaying ? <StopIcon /> : <PlayIcon />}
          onClick={() => clips.toggle(CLIP, async () => sample.recording)}
        >
          {t(isPlaying ? "review.stop" : "review.play")}
        </Button>
        {sample.measured ? <Measures measured={sample.measured} /> : <Text size="sm">{t("review.notDecoded")}</Text>}
      </Group>
      {found.map(({ kind, name }) => (
        <Alert key={name} color={kind === "refused" ? "red" : "orange"} p="xs">
          {t(`review.findings.${name}`, limits)}
        </Alert>
      ))}
      {sample.measured && found.length === 0 && <Text size="sm">{t("review.good")}</Text>}
    </Stack>
  );
}
