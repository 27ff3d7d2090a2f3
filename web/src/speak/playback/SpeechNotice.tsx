// What the speech waits for, or what went wrong and the way out. The text stays in every case.
import { Alert, Button, Group, Text } from "@mantine/core";
import i18next, { type TFunction } from "i18next";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useIsVoiceGone } from "../../api/catalog";
import { requestCharacters } from "../../shared/served";
import { useSettings } from "../settings/SettingsContext";
import { mostCharacters } from "./engine/long/longSpeech";
import { characterCount } from "./engine/long/textParts";
import type { SpeechEngine } from "./engine/speechEngine";
import type { SpeechFault, SpeechState } from "./engine/speechState";
import { useSpeak, useSpeechActions } from "./useSpeak";

const PATIENCE_MILLISECONDS = 1000; // a wait that is shorter is not worth a line

export function SpeechNotice() {
  const { t } = useTranslation("speak");
  const { state } = useSpeak();
  return (
    <>
      {state.withoutRtc && (
        <Text size="sm" role="status">
          {t(`withoutRtc.${state.withoutRtc}`)}
        </Text>
      )}
      {state.fault ? <Fault fault={state.fault} /> : <Wait state={state} />}
    </>
  );
}

/** Milliseconds since 1970, anew every quarter of a second. */
function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** What nothing sounds for: the first audio, or the next part of a long text. */
function Wait({ state }: { state: SpeechState }) {
  if (state.phase === "waiting") {
    const key = state.isHeld ? heldKey(state) : "firstAudio";
    return <Waiting key="first" since={state.clickedAt} what={key} region={state.region} />;
  }
  if (state.phase !== "playing" || state.waitingSince === null) return null;
  return <Waiting key="next" since={state.waitingSince} what="nextPart" region={null} />;
}

function Waiting({ since, what, region }: { since: number; what: string; region: string | null }) {
  const { t } = useTranslation("speak");
  const waited = useNow() - since;
  if (waited < PATIENCE_MILLISECONDS) return null;
  return (
    <Group gap="xs">
      <Text size="sm" role="status">
        {t(`waiting.${what}`, { region })}
      </Text>
      <Text size="sm" c="dimmed" aria-hidden="true">
        {t("waiting.seconds", { seconds: Math.floor(waited / 1000) })}
      </Text>
    </Group>
  );
}

function heldKey(state: SpeechState): string {
  if (!state.region) return "server";
  return state.route === "hold-load" || state.route === "hold-circuit" ? "busyRegion" : "wakingRegion";
}

function Fault({ fault }: { fault: SpeechFault }) {
  const { t } = useTranslation("speak");
  const { speak, engine } = useSpeechActions();
  const now = useNow();
  const left = fault.retryAt === null ? 0 : Math.max(0, Math.ceil((fault.retryAt - now) / 1000));
  const { settings } = useSettings();
  const isVoiceGone = useIsVoiceGone(fault.field === "voice", settings.voice);
  const text = isVoiceGone ? t("fault.voiceGone") : faultText(fault, engine, t);
  const advice = fault.field && FIELD_ADVICE.includes(fault.field) ? t(`fault.field.${fault.field}`) : null;
  return (
    <Alert color="red" variant="light" title={t(`fault.${fault.kind}`)} role="alert">
      <Text size="sm">{text}</Text>
      {advice && <Text size="sm">{advice}</Text>}
      <Group gap="sm" mt="xs">
        <Button size="compact-sm" variant="default" onClick={() => speak()}>
          {t("fault.retry")}
        </Button>
        {left > 0 && <Text size="sm">{t("fault.retryAfter", { seconds: left })}</Text>}
      </Group>
    </Alert>
  );
}

const FIELD_ADVICE = ["input", "voice", "model"];

function faultText(fault: SpeechFault, engine: SpeechEngine, t: TFunction<"speak">): string {
  if (fault.kind === "tooLong") return tooLongText(engine.state().text, t);
  if (fault.kind === "silent") return t("fault.silentHint");
  if (fault.kind === "noConnection") return t("fault.noConnectionHint"); // browsers have English words for it, if any
  if (fault.kind !== "brokenOff") return fault.message;
  if (engine.durationSeconds > 0) return t("fault.brokenOffHint");
  return t(engine.state().audible >= 0 ? "fault.liveBrokenOffHint" : "fault.nothingArrivedHint");
}

function tooLongText(text: string, t: TFunction<"speak">): string {
  const [given, most] = [characterCount(text), mostCharacters(requestCharacters())].map((count) =>
    count.toLocaleString(i18next.language),
  );
  return t("fault.tooLongHint", { given, most });
}
