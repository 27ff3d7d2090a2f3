// The seed: empty for another reading each time, or a number that reproduces one.
import { Button, Group, NumberInput, Stack } from "@mantine/core";
import { useCallback, useState } from "react";
import { useTranslation } from "react-i18next";
import { useOnFinished } from "../playback/SpeechEventsContext";
import { BOUNDS } from "./fields";
import { useSettings } from "./SettingsContext";

/** A seed that is short enough to type. */
export function drawSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number;
}

export function SeedSetting() {
  const { t } = useTranslation("settings");
  const { settings, change } = useSettings();
  const [lastSeed, setLastSeed] = useState<number | null>(null);
  useOnFinished(useCallback((speech) => setLastSeed(speech.seed), []));
  return (
    <Stack gap={6}>
      <NumberInput
        label={t("seed.label")}
        description={t("seed.help")}
        placeholder={t("seed.empty")}
        min={BOUNDS.seed.min}
        max={BOUNDS.seed.max}
        allowDecimal={false}
        allowNegative={false}
        hideControls
        value={settings.seed ?? ""}
        onChange={(seed) => change({ seed: seed === "" ? null : Math.min(Number(seed), BOUNDS.seed.max) })}
      />
      <Group gap="xs">
        {lastSeed !== null && lastSeed !== settings.seed && (
          <Button variant="light" size="compact-sm" onClick={() => change({ seed: lastSeed })}>
            {t("seed.keepLast", { seed: lastSeed })}
          </Button>
        )}
        <Button variant="default" size="compact-sm" onClick={() => change({ seed: drawSeed() })}>
          {t("seed.draw")}
        </Button>
        {settings.seed !== null && (
          <Button variant="default" size="compact-sm" onClick={() => change({ seed: null })}>
            {t("seed.clear")}
          </Button>
        )}
      </Group>
    </Stack>
  );
}
