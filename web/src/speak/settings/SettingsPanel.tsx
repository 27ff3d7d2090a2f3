// Presets, model, seed, guidance, timesteps, speed, normalization, real time, format, link and key.
import { Button, Group, Paper, Select, Stack, Switch, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { distinctModels, useModels } from "../../api/catalog";
import { AccessKey } from "./AccessKey";
import { NumberSetting } from "./NumberSetting";
import { PresetSetting } from "./PresetSetting";
import { RealTimeSetting } from "./RealTimeSetting";
import { SeedSetting } from "./SeedSetting";
import { useSettings } from "./SettingsContext";
import { LinkProblems, ShareLink } from "./ShareLink";
import { DEFAULT_SETTINGS, FORMATS, type Format } from "./settings";

function ModelSetting() {
  const { t } = useTranslation("settings");
  const { settings, change } = useSettings();
  const models = distinctModels(useModels().data ?? []).map((model) => model.id);
  const isUnknown = settings.model !== null && models.length > 0 && !models.includes(settings.model);
  if (models.length < 2 && !isUnknown) return null; // nothing to choose
  return (
    <Select
      label={t("model")}
      description={t("modelHelp")}
      data={models}
      value={settings.model ?? models[0] ?? null}
      onChange={(model) => change({ model })}
      error={isUnknown ? t("modelUnknown", { model: settings.model }) : null}
    />
  );
}

function FormatSetting() {
  const { t } = useTranslation("settings");
  const { settings, change } = useSettings();
  return (
    <Select
      label={t("format")}
      description={t(`formatHelp.${settings.format}`)}
      data={FORMATS.map((format) => ({ value: format, label: t(`formats.${format}`) }))}
      value={settings.format}
      allowDeselect={false}
      onChange={(format) => format && change({ format: format as Format })}
    />
  );
}

function NormalizeSetting() {
  const { t } = useTranslation("settings");
  const { settings, change } = useSettings();
  return (
    <Switch
      label={t("normalize")}
      description={t("normalizeHelp")}
      checked={settings.normalize}
      onChange={(event) => change({ normalize: event.currentTarget.checked })}
    />
  );
}

function ResetButton() {
  const { t } = useTranslation("settings");
  const { change, current } = useSettings();
  const reset = () => {
    const { text, voice } = current(); // what is spoken and by which voice is no parameter
    change({ ...DEFAULT_SETTINGS, text, voice });
  };
  return (
    <Button variant="default" size="xs" onClick={reset}>
      {t("reset")}
    </Button>
  );
}

export function SettingsPanel() {
  const { t } = useTranslation("settings");
  return (
    <Paper component="section" aria-labelledby="settings-title" withBorder p="md">
      <Stack gap="md">
        <Title order={2} size="h4" id="settings-title">
          {t("title")}
        </Title>
        <LinkProblems />
        <PresetSetting />
        <ModelSetting />
        <NumberSetting name="cfgValue" />
        <NumberSetting name="inferenceTimesteps" />
        <NumberSetting name="speed" />
        <SeedSetting />
        <NormalizeSetting />
        <RealTimeSetting />
        <FormatSetting />
        <Group gap="xs">
          <ResetButton />
          <ShareLink />
        </Group>
        <AccessKey />
      </Stack>
    </Paper>
  );
}
