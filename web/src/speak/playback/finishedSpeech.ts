// What a speech leaves behind, for the history and the download. Pure: no React, no network.
import type { SpeechSettings } from "../settings/settings";

/** A sentence as the server split the text; times in seconds of the audio as sent. */
export type Sentence = {
  readonly index: number;
  readonly text: string; // without the syntax that the server removed
  readonly atSeconds: number;
};

export type FinishedSpeech = {
  readonly settings: SpeechSettings; // with the text and the model that were spoken
  readonly seed: number; // reproduces the audio
  readonly startedAt: number; // milliseconds since 1970
  readonly audio: Blob; // WAV, 16 bits, mono
  readonly sampleRate: number;
  readonly durationSeconds: number;
  readonly peaks: Float32Array; // absolute, 0 to 1, equally long parts of the audio
  readonly firstAudioMilliseconds: number; // from the click to the first audio from the server
  readonly region: string | null; // null: no gateway in between
  readonly route: string | null;
  readonly sentences: readonly Sentence[];
  readonly isComplete: boolean; // false: stopped, or broken off
};
