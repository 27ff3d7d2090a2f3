// Presets as one group of choices; the settings of the moment can be saved as one more, in this browser.
import { Button, Chip, Group, Input, Stack, Text, TextInput } from "@mantine/core";
import { type FormEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { readStored, writeStored } from "../../shared/browserStore";
import {
  BUILT_IN_PRESETS,
  type BuiltInPreset,
  MAX_PRESET_NAME_CHARACTERS,
  matches,
  type OwnPreset,
  readPresets,
  withoutPreset,
  withPreset,
  writePresets,
} from "./presets";
import { useSettings } from "./SettingsContext";

const STORED = "voxfleet.presets";
const OWN = "own:"; // before the name of an own preset: it may be that of a built-in one

function useOwnPresets(): [readonly OwnPreset[], (presets: readonly OwnPreset[]) => void] {
  const [presets, setPresets] = useState(() => readPresets(readStored("localStorage", STORED)));
  const store = (next: readonly OwnPreset[]) => {
    writeStored("localStorage", STORED, writePresets(next));
    setPresets([...next]);
  };
  return [presets, store];
}

function SavePreset({ save, close }: { save: (name: string) => void; close: () => void }) {
  const { t } = useTranslation("settings");
  const [name, setName] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) save(name.trim());
  };
  return (
    <form onSubmit={submit}>
      <Group gap="xs" align="end">
        <TextInput
          flex={1}
          size="xs"
          label={t("preset.name")}
          value={name}
          maxLength={MAX_PRESET_NAME_CHARACTERS}
          data-autofocus
          autoFocus
          onChange={(event) => setName(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Escape" && close()}
        />
        <Button type="submit" size="xs" disabled={!name.trim()}>
          {t("preset.save")}
        </Button>
        <Button variant="default" size="xs" onClick={close}>
          {t("preset.cancel")}
        </Button>
      </Group>
    </form>
  );
}

function PresetChips({ own }: { own: readonly OwnPreset[] }) {
  const { t } = useTranslation("settings");
  const { settings, change } = useSettings();
  const label = useId();
  const builtIn = Object.keys(BUILT_IN_PRESETS) as BuiltInPreset[];
  const chosenOwn = own.find((preset) => matches(settings, preset.settings));
  const chosen =
    builtIn.find((name) => matches(settings, BUILT_IN_PRESETS[name])) ?? (chosenOwn ? OWN + chosenOwn.name : null);
  const choose = (value: string | null) => {
    const preset = own.find(({ name }) => OWN + name === value)?.settings ?? BUILT_IN_PRESETS[value as BuiltInPreset];
    if (preset) change(preset);
  };
  return (
    <div role="radiogroup" aria-labelledby={label}>
      <Input.Label id={label} labelElement="div" mb={6}>
        {t("preset.label")}
      </Input.Label>
      <Chip.Group value={chosen} onChange={choose}>
        <Group gap={6}>
          {builtIn.map((name) => (
            <Chip key={name} value={name} size="xs" variant="light">
              {t(`preset.names.${name}`)}
            </Chip>
          ))}
          {own.map(({ name }) => (
            <Chip key={OWN + name} value={OWN + name} size="xs" variant="light">
              {name}
            </Chip>
          ))}
        </Group>
      </Chip.Group>
      <Text size="xs" c="dimmed" mt={6}>
        {chosen === null || chosen.startsWith(OWN) ? t("preset.ownHelp") : t(`preset.help.${chosen}`)}
      </Text>
    </div>
  );
}

export function PresetSetting() {
  const { t } = useTranslation("settings");
  const { settings } = useSettings();
  const [own, setOwn] = useOwnPresets();
  const [isNaming, setIsNaming] = useState(false);
  const chosen = own.find((preset) => matches(settings, preset.settings));
  const save = (name: string) => {
    setOwn(withPreset(own, name, settings));
    setIsNaming(false);
  };
  return (
    <Stack gap={6}>
      <PresetChips own={own} />
      {isNaming ? (
        <SavePreset save={save} close={() => setIsNaming(false)} />
      ) : (
        <Group gap="xs">
          <Button variant="default" size="compact-sm" onClick={() => setIsNaming(true)}>
            {t("preset.saveAs")}
          </Button>
          {chosen && (
            <Button variant="default" size="compact-sm" onClick={() => setOwn(withoutPreset(own, chosen.name))}>
              {t("preset.delete", { name: chosen.name })}
            </Button>
          )}
        </Group>
      )}
    </Stack>
  );
}
