// Speaks the text: the button, the sentences as they are played, waveform, latency figures.
import { Button, Group, Kbd, Paper, Stack } from "@mantine/core";
import { useOs } from "@mantine/hooks";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useSettings, useText } from "../settings/SettingsContext";
import { isActive } from "./engine/speechState";
import { LatencyFigures } from "./player/LatencyFigures";
import { PlayerControls } from "./player/PlayerControls";
import { Volume } from "./player/Volume";
import { SpeechNotice } from "./SpeechNotice";
import { ExampleTexts } from "./text/ExampleTexts";
import { SpeechText } from "./text/SpeechText";
import { useSpeechActions, useSpeechPhase } from "./useSpeak";

export function PlayerPanel() {
  const { t } = useTranslation("speak");
  const connectAhead = useConnectAhead();
  return (
    <Paper
      component="section"
      aria-label={t("speak")}
      withBorder
      p="md"
      radius="md"
      onFocus={connectAhead}
      onInput={connectAhead}
    >
      <Stack gap="sm">
        <SpeechText />
        <ExampleTexts />
        <Group gap="sm">
          <SpeakButtons />
          <Volume />
        </Group>
        <SpeechNotice />
        <PlayerControls />
        <LatencyFigures />
      </Stack>
    </Paper>
  );
}

function useConnectAhead(): () => void {
  const { engine } = useSpeechActions();
  const { current } = useSettings();
  return () => engine.connectAhead(current());
}

function SpeakButtons() {
  const { t } = useTranslation("speak");
  const { speak, stop } = useSpeechActions();
  const isSpeaking = isActive({ phase: useSpeechPhase() });
  const connectAhead = useConnectAhead();
  const isApple = useOs() === "macos";
  const canSpeak = /\S/u.test(useText());
  useKeys(canSpeak ? () => speak() : null, isSpeaking ? stop : null);
  return (
    <>
      {/* The pointer counts on the button alone: one that passes over the panel would wake a region for nothing. */}
      <Button
        size="md"
        disabled={!canSpeak}
        aria-keyshortcuts="Control+Enter Meta+Enter"
        onClick={() => speak()}
        onPointerEnter={connectAhead}
        rightSection={<Key name={isApple ? "⌘ ↵" : "Ctrl ↵"} />}
      >
        {t("speak")}
      </Button>
      <Button
        size="md"
        variant="default"
        disabled={!isSpeaking}
        onClick={stop}
        aria-keyshortcuts="Escape"
        rightSection={<Key name="Esc" />}
      >
        {t("stop")}
      </Button>
    </>
  );
}

/** A key beside a button's name; a phone has none. */
function Key({ name }: { name: string }) {
  return (
    <Kbd size="xs" visibleFrom="sm" aria-hidden="true">
      {name}
    </Kbd>
  );
}

/** Ctrl or Command with Enter speaks, Escape stops, wherever the focus is; null: nothing to do. */
function useKeys(speak: (() => void) | null, stop: (() => void) | null): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return; // a menu has used it, or an input method
      if (document.querySelector('[aria-modal="true"]')) return; // the keys are the dialog's
      const action =
        event.key === "Enter" && (event.ctrlKey || event.metaKey) ? speak : event.key === "Escape" ? stop : null;
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [speak, stop]);
}
