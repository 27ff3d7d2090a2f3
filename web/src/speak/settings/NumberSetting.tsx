// A bounded number: a slider for the mouse and the arrow keys, a field for an exact value, and a way back to the default.
import { Button, Group, Input, NumberInput, Slider, Text } from "@mantine/core";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { BOUNDS, type Bounds } from "./fields";
import { useSettings } from "./SettingsContext";
import { DEFAULT_SETTINGS } from "./settings";

type Name = "cfgValue" | "inferenceTimesteps" | "speed";

function decimals(bounds: Bounds): number {
  return bounds.isInteger ? 0 : 2;
}

function clamped(value: number, bounds: Bounds): number {
  return Math.min(bounds.max, Math.max(bounds.min, value));
}

export function NumberSetting({ name }: { name: Name }) {
  const { t } = useTranslation("settings");
  const { settings, change } = useSettings();
  const id = useId();
  const bounds = BOUNDS[name];
  const value = settings[name];
  const isDefault = value === DEFAULT_SETTINGS[name];
  const set = (next: number) => change({ [name]: Number(clamped(next, bounds).toFixed(decimals(bounds))) });
  return (
    <Input.Wrapper
      label={t(`${name}.label`)}
      description={t(`${name}.help`)}
      labelProps={{ htmlFor: id }}
      descriptionProps={{ id: `${id}-help` }}
    >
      <Group wrap="nowrap" mt={6}>
        <Slider
          flex={1}
          label={null}
          min={bounds.min}
          max={bounds.max}
          step={bounds.step}
          value={value ?? bounds.usual}
          onChange={set}
          thumbLabel={t(`${name}.label`)}
          thumbProps={{ "aria-describedby": `${id}-help` }}
          opacity={isDefault ? 0.7 : 1}
        />
        <NumberInput
          id={id}
          w={92}
          size="xs"
          aria-describedby={`${id}-help`}
          placeholder={value === null ? t("serverDefault") : ""}
          min={bounds.min}
          max={bounds.max}
          step={bounds.step}
          decimalScale={decimals(bounds)}
          value={value ?? ""}
          onChange={(next) => (next === "" ? change({ [name]: DEFAULT_SETTINGS[name] }) : set(Number(next)))}
        />
      </Group>
      <Group justify="space-between" h={22}>
        <Text size="xs" c="dimmed">
          {t("range", { min: bounds.min, max: bounds.max })}
        </Text>
        {!isDefault && (
          <Button
            variant="subtle"
            size="compact-xs"
            onClick={() => change({ [name]: DEFAULT_SETTINGS[name] })}
            aria-label={t("useDefaultOf", { name: t(`${name}.label`) })}
          >
            {t("useDefault")}
          </Button>
        )}
      </Group>
    </Input.Wrapper>
  );
}
