// Play, pause, and where playback is.
import { ActionIcon, Group, Text } from "@mantine/core";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { clock } from "../../clock";
import type { SpeechEngine } from "../engine/speechEngine";
import { useSpeak } from "../useSpeak";
import classes from "./player.module.css";
import { Waveform } from "./Waveform";

export function PlayerControls() {
  const { t } = useTranslation("speak");
  const { state, engine } = useSpeak();
  const isPlaying = state.phase === "playing";
  return (
    <Group gap="sm" wrap="nowrap">
      <ActionIcon
        size="xl"
        radius="xl"
        variant="light"
        aria-label={t(isPlaying ? "player.pause" : state.phase === "paused" ? "player.resume" : "player.again")}
        disabled={engine.durationSeconds === 0 || state.phase === "waiting"}
        onClick={isPlaying ? engine.pause : engine.resume}
      >
        <svg viewBox="0 0 24 24" width="22" height="22" fill="currentColor" aria-hidden="true">
          <path d={isPlaying ? "M7 5h4v14H7zm6 0h4v14h-4z" : "M8 5v14l11-7z"} />
        </svg>
      </ActionIcon>
      <div className={classes.grow}>{state.isLive ? <LiveNote /> : <Waveform />}</div>
      {!state.isLive && <Clock engine={engine} />}
    </Group>
  );
}

/** In place of the waveform: the browser plays the packets itself, and the page has no samples. */
function LiveNote() {
  const { t } = useTranslation("speak");
  return (
    <Text size="sm" c="dimmed">
      {t("player.live")}
    </Text>
  );
}

/** Written into the element, not through React: it changes ten times a second. */
function Clock({ engine }: { engine: SpeechEngine }) {
  const text = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    const show = () => {
      const [at, all] = [engine.positionSeconds, engine.durationSeconds];
      if (text.current) text.current.textContent = `${clock(at)} / ${clock(all)}`;
    };
    show();
    const timer = setInterval(show, 100);
    return () => clearInterval(timer);
  }, [engine]);
  return <Text ref={text} size="sm" className={classes.clock ?? ""} aria-hidden="true" />;
}
