// Records the microphone, with a text to read aloud and a meter that says when it is too quiet or too loud.
import { Blockquote, Box, Button, Group, Progress, Stack, Text } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { MicrophoneIcon, StopIcon } from "../clips/icons";
import { RECORDING_LIMITS } from "./levels";
import { canRecord, type Level, type Recording, record } from "./recorder";

const FLOOR_DBFS = -70; // left end of the meter
const CLIPPING_PEAK = 0.99;
const QUIET_DBFS = -50;
const QUIET_AFTER_SECONDS = 2;
const STOP_BEFORE_LIMIT_SECONDS = 0.5; // the encoder adds some milliseconds

type Hint = "good" | "quiet" | "clipping";

/** The sentence beside the meter: clipping is shown as long as the recording lasts, for it spoils all of it. */
function hintOf(level: Level, loudestDbfs: number, hasClipped: boolean): Hint {
  if (hasClipped) return "clipping";
  return level.seconds > QUIET_AFTER_SECONDS && loudestDbfs < QUIET_DBFS ? "quiet" : "good";
}

function LevelMeter({ level }: { level: Level }) {
  const { t } = useTranslation("voices");
  const extremes = useRef({ loudestDbfs: Number.NEGATIVE_INFINITY, hasClipped: false });
  const { current } = extremes;
  current.loudestDbfs = Math.max(current.loudestDbfs, level.dbfs);
  current.hasClipped ||= level.peak >= CLIPPING_PEAK;
  const hint = hintOf(level, current.loudestDbfs, current.hasClipped);
  const dbfs = Math.round(Math.max(FLOOR_DBFS, level.dbfs));
  return (
    <Stack gap={4}>
      <Box
        role="meter"
        aria-label={t("microphone.level")}
        aria-valuemin={FLOOR_DBFS}
        aria-valuemax={0}
        aria-valuenow={dbfs}
        aria-valuetext={t("microphone.decibels", { dbfs })}
      >
        <Progress.Root size="lg" transitionDuration={0}>
          <Progress.Section
            withAria={false}
            value={((dbfs - FLOOR_DBFS) / -FLOOR_DBFS) * 100}
            color={hint === "clipping" ? "red" : hint === "quiet" ? "orange" : "teal"}
          />
        </Progress.Root>
      </Box>
      <Group justify="space-between">
        <Text size="sm" role="status">
          {t(`microphone.hints.${hint}`)}
        </Text>
        <Text size="sm" c="dimmed" ff="monospace">
          {t("microphone.time", { seconds: level.seconds.toFixed(1), limit: RECORDING_LIMITS.maxSeconds })}
        </Text>
      </Group>
    </Stack>
  );
}

type State = { readonly phase: "idle" | "asking" | "recording"; readonly failure: string | null };
const IDLE: State = { phase: "idle", failure: null };

function useMicrophone(take: (recording: Blob) => void) {
  const [state, setState] = useState<State>(IDLE);
  const [level, setLevel] = useState<Level | null>(null);
  const recording = useRef<Recording | null>(null);
  useEffect(() => () => recording.current?.stop(), []); // a closed dialog turns the microphone off
  const start = async () => {
    setState({ phase: "asking", failure: null });
    try {
      const limit = RECORDING_LIMITS.maxSeconds - STOP_BEFORE_LIMIT_SECONDS;
      recording.current = await record(limit, setLevel, (blob) => {
        setState(IDLE);
        setLevel(null);
        take(blob);
      });
      setState({ phase: "recording", failure: null });
    } catch (error) {
      setState({ phase: "idle", failure: error instanceof DOMException ? error.name : String(error) });
    }
  };
  return { state, level, start, stop: () => recording.current?.stop() };
}

export function MicrophoneRecorder({ take }: { take: (recording: Blob, said: string) => void }) {
  const { t } = useTranslation("voices");
  const script = t("microphone.script");
  const { state, level, start, stop } = useMicrophone((recording) => take(recording, script));
  if (!canRecord()) {
    return (
      <Text size="sm" c="dimmed">
        {t("microphone.unavailable")}
      </Text>
    );
  }
  const isRecording = state.phase === "recording";
  return (
    <Stack gap="sm">
      <Group>
        <Button
          variant={isRecording ? "filled" : "default"}
          color={isRecording ? "red.9" : "teal"}
          leftSection={isRecording ? <StopIcon /> : <MicrophoneIcon />}
          loading={state.phase === "asking"}
          onClick={isRecording ? stop : start}
        >
          {t(isRecording ? "microphone.stop" : "microphone.start")}
        </Button>
        {!isRecording && (
          <Text size="sm" c="dimmed">
            {t("microphone.help")}
          </Text>
        )}
      </Group>
      {isRecording && <Blockquote p="sm">{script}</Blockquote>}
      {level && <LevelMeter level={level} />}
      {state.failure !== null && (
        <Text size="sm" c="red.9" role="alert">
          {t([`microphone.failures.${state.failure}`, "microphone.failures.other"], { failure: state.failure })}
        </Text>
      )}
    </Stack>
  );
}
