// What a speech request is made from, as the page's controls hold it. Pure: no React, no storage, no network.

export const FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"] as const;
export type Format = (typeof FORMATS)[number];

export type SpeechSettings = {
  readonly text: string;
  readonly model: string | null; // null: the server's only or first model
  readonly voice: string; // an id or a name
  readonly seed: number | null; // null: the server draws one
  readonly cfgValue: number | null; // null: the server's default
  readonly inferenceTimesteps: number | null;
  readonly speed: number;
  readonly normalize: boolean;
  readonly format: Format; // of the download; playback uses pcm
};

/** All but the text, which changes with each key. */
export type SettingsWithoutText = Omit<SpeechSettings, "text">;

export const DEFAULT_SETTINGS: SpeechSettings = {
  text: "",
  model: null,
  voice: "default",
  seed: null,
  cfgValue: null,
  inferenceTimesteps: null,
  speed: 1,
  normalize: true,
  format: "mp3",
};

/** The JSON body of POST /v1/audio/speech; fields at the server's default are left out. */
export function speechBody(settings: SpeechSettings): Record<string, unknown> {
  const body: Record<string, unknown> = { input: settings.text, voice: settings.voice };
  if (settings.model !== null) body.model = settings.model;
  if (settings.seed !== null) body.seed = settings.seed;
  if (settings.cfgValue !== null) body.cfg_value = settings.cfgValue;
  if (settings.inferenceTimesteps !== null) body.inference_timesteps = settings.inferenceTimesteps;
  if (settings.speed !== 1) body.speed = settings.speed;
  body.normalize = settings.normalize;
  return body;
}
