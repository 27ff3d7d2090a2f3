// A voice that a seed draws: draw, play, draw again, keep.
import { Alert, Button, Group, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { modelName, useModels, type Voice } from "../../api/catalog";
import { ErrorText } from "../../shared/ErrorText";
import { useClips } from "../clips/useClips";
import { BOUNDS } from "../settings/fields";
import { drawSeed } from "../settings/SeedSetting";
import { useSettings } from "../settings/SettingsContext";
import { preview } from "./previews";
import { keepDesignedVoice } from "./uploading";
import { useSampleText } from "./VoiceRow";

const CLIP = "design";

/** Plays what the voice of a seed says: `random` draws from the request's seed what a stored voice keeps. */
function usePlaySeed(model: string | null) {
  const clips = useClips();
  const text = useSampleText();
  const play = (seed: number) =>
    clips.toggle(CLIP, (signal) => preview({ voice: "random", version: 0, model: model ?? "", text, seed }, signal));
  const isPlaying = clips.state.key === CLIP && clips.state.phase !== "idle";
  const error = clips.state.key === CLIP ? clips.state.error : null;
  return { play, isPlaying, isLoading: isPlaying && clips.state.phase === "loading", error, text };
}

export function DesignedVoiceForm({ added }: { added: (voice: Voice) => void }) {
  const { t } = useTranslation("voices");
  const { settings } = useSettings();
  const model = modelName(settings.model, useModels().data);
  const [seed, setSeed] = useState(drawSeed);
  const [name, setName] = useState("");
  const { play, isPlaying, isLoading, error, text } = usePlaySeed(model);
  const keeping = useMutation({
    mutationFn: () => keepDesignedVoice({ name: name.trim(), seed, transcript: text, model }),
    onSuccess: added,
  });
  const draw = () => {
    const drawn = drawSeed();
    setSeed(drawn);
    play(drawn);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    keeping.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">{t("design.help")}</Text>
        <Group align="end">
          <NumberInput
            label={t("design.seed")}
            min={BOUNDS.seed.min}
            max={BOUNDS.seed.max}
            allowDecimal={false}
            allowNegative={false}
            hideControls
            value={seed}
            onChange={(value) => value !== "" && setSeed(Math.min(Number(value), BOUNDS.seed.max))}
          />
          <Button variant="default" onClick={() => play(seed)} loading={isLoading}>
            {t(isPlaying ? "design.stop" : "design.play")}
          </Button>
          <Button variant="light" onClick={draw}>
            {t("design.draw")}
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          {t("design.says", { text })}
        </Text>
        <TextInput
          label={t("fields.name")}
          maxLength={256}
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        {(keeping.error || error !== null) && (
          <Alert color="red" role="alert">
            {keeping.error ? <ErrorText error={keeping.error} /> : error}
          </Alert>
        )}
        <Button type="submit" disabled={!name.trim()} loading={keeping.isPending}>
          {t("design.keep")}
        </Button>
      </Stack>
    </form>
  );
}
