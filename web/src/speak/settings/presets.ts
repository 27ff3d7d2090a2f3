// Named combinations of the model's parameters: built-in ones, and the user's own as they are stored. Pure.

import type { SpeechSettings } from "./settings";
import { readFragment, writeFragment } from "./shareLink";

/** What a preset sets: how speech is made, and neither what is spoken nor by which voice. */
const PRESET_SETTINGS = ["cfgValue", "inferenceTimesteps", "speed", "normalize"] as const;
export type PresetSettings = Pick<SpeechSettings, (typeof PRESET_SETTINGS)[number]>;
export type OwnPreset = { readonly name: string; readonly settings: PresetSettings };

const PLAIN: PresetSettings = { cfgValue: null, inferenceTimesteps: null, speed: 1, normalize: true };

// A patch of audio takes one evaluation of the model's decoder per timestep but the first. Guidance (cfg) weighs text and
// voice against what the model would say without them: more keeps closer to both, less leaves the delivery freer.
export const BUILT_IN_PRESETS = {
  balanced: PLAIN,
  fast: { ...PLAIN, inferenceTimesteps: 5 },
  detailed: { ...PLAIN, inferenceTimesteps: 20 },
  stable: { ...PLAIN, cfgValue: 2.5, inferenceTimesteps: 20 },
  lively: { ...PLAIN, cfgValue: 1.5 },
} as const satisfies Record<string, PresetSettings>;

export type BuiltInPreset = keyof typeof BUILT_IN_PRESETS;
export const MAX_PRESET_NAME_CHARACTERS = 40;

export function presetOf(settings: PresetSettings): PresetSettings {
  const { cfgValue, inferenceTimesteps, speed, normalize } = settings;
  return { cfgValue, inferenceTimesteps, speed, normalize };
}

/** Whether the settings are those of the preset. */
export function matches(settings: PresetSettings, preset: PresetSettings): boolean {
  return PRESET_SETTINGS.every((name) => settings[name] === preset[name]);
}

/** The list with a preset under this name, which replaces an older one. */
export function withPreset(presets: readonly OwnPreset[], name: string, settings: PresetSettings): OwnPreset[] {
  return [...withoutPreset(presets, name), { name, settings: presetOf(settings) }];
}

export function withoutPreset(presets: readonly OwnPreset[], name: string): OwnPreset[] {
  return presets.filter((preset) => preset.name !== name);
}

/** As stored: names with the fragment of a link, which has a version and is validated when it is read. */
export function writePresets(presets: readonly OwnPreset[]): string {
  return JSON.stringify(presets.map(({ name, settings }) => [name, writeFragment(settings)]));
}

/** The stored presets; what is damaged is left out. */
export function readPresets(stored: string | null): OwnPreset[] {
  const rows: unknown = parsed(stored);
  if (!Array.isArray(rows)) return [];
  return rows.flatMap((row: unknown) => {
    if (!Array.isArray(row) || typeof row[0] !== "string" || typeof row[1] !== "string") return [];
    const read = readFragment(row[1]);
    return read && read.problems.length === 0 ? [{ name: row[0], settings: { ...PLAIN, ...read.settings } }] : [];
  });
}

function parsed(stored: string | null): unknown {
  try {
    return JSON.parse(stored ?? "[]");
  } catch {
    return null;
  }
}
