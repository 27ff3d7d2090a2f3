// The bounds of each setting, and its form as text in links and presets. Pure.
// A test compares the bounds with the server's OpenAPI document.
import { DEFAULT_SETTINGS, FORMATS, type SpeechSettings } from "./settings";

export type Bounds = {
  readonly field: string; // of the request
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly usual: number; // where a control stands while the server's default applies
  readonly isInteger: boolean;
};

export const BOUNDS = {
  cfgValue: { field: "cfg_value", min: 1, max: 10, step: 0.1, usual: 2, isInteger: false },
  inferenceTimesteps: { field: "inference_timesteps", min: 2, max: 40, step: 1, usual: 10, isInteger: true },
  speed: { field: "speed", min: 0.25, max: 4, step: 0.05, usual: 1, isInteger: false },
  // The server's limit is 2^63 - 1; a browser's numbers are exact up to this one.
  seed: { field: "seed", min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, usual: 0, isInteger: true },
} as const satisfies Record<string, Bounds>;

export type BoundedSetting = keyof typeof BOUNDS;
export type Setting = keyof SpeechSettings;

/** Why a text is no value of a setting: `kind` names the message, `bounds` its numbers. */
export type Problem = {
  readonly name: string;
  readonly given: string;
  readonly kind: "number" | "integer" | "range" | "choice" | "boolean" | "name" | "length" | "unknown" | "version";
  readonly min?: number;
  readonly max?: number;
  readonly choices?: string;
};

type Read = { readonly value: SpeechSettings[Setting] } | { readonly problem: Omit<Problem, "name" | "given"> };

const MAX_TEXT_CHARACTERS = 100_000; // a server's own limit is lower; this one keeps a link from filling the memory
const MAX_NAME_CHARACTERS = 256;
const NUMBER = /^-?\d{1,17}(\.\d{1,9})?$/;
const CONTROL = /\p{Cc}/u;

function readNumber(bounds: Bounds, text: string): Read {
  if (!NUMBER.test(text)) return { problem: { kind: bounds.isInteger ? "integer" : "number" } };
  const value = Number(text);
  if (bounds.isInteger && !Number.isInteger(value)) return { problem: { kind: "integer" } };
  if (value < bounds.min || value > bounds.max) return { problem: { kind: "range", min: bounds.min, max: bounds.max } };
  return { value };
}

function readName(text: string): Read {
  const isName = text.trim() !== "" && text.length <= MAX_NAME_CHARACTERS && !CONTROL.test(text);
  return isName ? { value: text } : { problem: { kind: "name", max: MAX_NAME_CHARACTERS } };
}

function readText(text: string): Read {
  if (text.length <= MAX_TEXT_CHARACTERS) return { value: text };
  return { problem: { kind: "length", max: MAX_TEXT_CHARACTERS } };
}

function readBoolean(text: string): Read {
  return text === "true" || text === "false" ? { value: text === "true" } : { problem: { kind: "boolean" } };
}

function readFormat(text: string): Read {
  const format = FORMATS.find((each) => each === text);
  return format ? { value: format } : { problem: { kind: "choice", choices: FORMATS.join(", ") } };
}

/** How each setting is read from a text; the order is that of a link. */
const READERS: Readonly<Record<Setting, (text: string) => Read>> = {
  voice: readName,
  model: readName,
  seed: (text) => readNumber(BOUNDS.seed, text),
  cfgValue: (text) => readNumber(BOUNDS.cfgValue, text),
  inferenceTimesteps: (text) => readNumber(BOUNDS.inferenceTimesteps, text),
  speed: (text) => readNumber(BOUNDS.speed, text),
  normalize: readBoolean,
  format: readFormat,
  text: readText,
};

export const SETTINGS = Object.keys(READERS) as readonly Setting[];

export function isSetting(name: string): name is Setting {
  return Object.hasOwn(READERS, name);
}

/** The value that a text means, or why it means none. */
export function readSetting(name: Setting, text: string): Read {
  return READERS[name](text);
}

/** The settings that differ from the page's defaults, as texts. */
export function settingTexts(settings: Partial<SpeechSettings>): [Setting, string][] {
  const differing = SETTINGS.filter((name) => name in settings && settings[name] !== DEFAULT_SETTINGS[name]);
  return differing.map((name) => [name, String(settings[name])]);
}
