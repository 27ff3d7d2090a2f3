// How loud speech is played; kept in this browser. A phone has buttons for it.
import { Group, Slider } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useSpeechActions } from "../useSpeak";

export function Volume() {
  const { t } = useTranslation("speak");
  const { engine } = useSpeechActions();
  const [percent, setPercent] = useLocalStorage({
    key: "voxfleet.volume",
    defaultValue: 100,
    getInitialValueInEffect: false,
  });
  useEffect(() => engine.setVolume(percent / 100), [engine, percent]);
  return (
    <Group gap="xs" wrap="nowrap" ml="auto" visibleFrom="sm">
      <svg viewBox="0 0 24 24" width="18" height="18" fill="currentColor" aria-hidden="true">
        <path d="M4 9v6h4l5 5V4L8 9zm12.5 3a4.5 4.5 0 0 0-2.5-4v8a4.5 4.5 0 0 0 2.5-4z" />
      </svg>
      <Slider
        w={100}
        size="sm"
        value={percent}
        onChange={setPercent}
        label={(value) => `${value} %`}
        thumbLabel={t("player.volume")}
      />
    </Group>
  );
}
