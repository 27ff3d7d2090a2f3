// Settings as the fragment of a URL: `#v=1&voice=...&seed=7&text=...`. A browser sends no fragment to a server. Pure:
// the API key is no setting, and so in no link.
import { isSetting, type Problem, readSetting, settingTexts } from "./fields";
import type { SpeechSettings } from "./settings";

const VERSION = "1";
const SHOWN_CHARACTERS = 40;

export type LinkedSettings = {
  readonly settings: Partial<SpeechSettings>;
  readonly problems: readonly Problem[]; // of values that were left out
};

export function writeFragment(settings: Partial<SpeechSettings>): string {
  return new URLSearchParams([["v", VERSION], ...settingTexts(settings)]).toString();
}

/** The settings of a fragment, with or without its `#`; null for one that is no link of this page. */
export function readFragment(fragment: string): LinkedSettings | null {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const version = fields.get("v");
  if (version === null) return null;
  fields.delete("v");
  if (version !== VERSION) return { settings: {}, problems: [{ name: "v", given: shown(version), kind: "version" }] };
  return readFields(fields);
}

function readFields(fields: URLSearchParams): LinkedSettings {
  const settings: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const [name, text] of fields) {
    const read = isSetting(name) ? readSetting(name, text) : { problem: { kind: "unknown" as const } };
    if ("value" in read) settings[name] = read.value;
    else problems.push({ name: shown(name), given: shown(text), ...read.problem });
  }
  return { settings: settings as Partial<SpeechSettings>, problems };
}

function shown(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
