// One speech: its settings, audio, peaks and sentences, which are made and dropped together. Does not know playback.
import { Clip } from "../../../shared/audio/clip";
import { Peaks } from "../../../shared/audio/peaks";
import type { SpeechSettings } from "../../settings/settings";
import type { FinishedSpeech, Sentence } from "../finishedSpeech";
import { expectedSeconds, figuresOf } from "./figures";
import type { TextPart } from "./long/textParts";
import { SentenceLocator, type TextRange } from "./sentences";
import { SAMPLE_RATE } from "./speechRequest";
import type { SpeechState } from "./speechState";

const PEAK_BINS = 4096;
const SAMPLES_PER_PEAK = 120; // 5 ms at first; more once the bins are full

/** The part of the text whose audio arrives: where it is in the text and in the audio. */
type StartedPart = {
  readonly start: number;
  readonly text: string;
  readonly locator: SentenceLocator;
  readonly sentencesBefore: number;
  readonly secondsBefore: number;
};

export class SpeechRun {
  readonly abort = new AbortController();
  readonly clip = new Clip(SAMPLE_RATE);
  readonly peaks = new Peaks(PEAK_BINS, SAMPLES_PER_PEAK);
  settings: SpeechSettings & { seed: number };
  #part: StartedPart | null = null;
  #partCount = 0;
  #expectedSeconds: number | null = null;
  isBetween = false; // a later part has begun, and none of its audio has arrived

  constructor(settings: SpeechSettings) {
    this.settings = { ...settings, seed: 0 };
  }

  /** What comes from here on is of the next part of the text, after the silence before it. */
  begin({ start, text, pauseSeconds }: TextPart, state: Pick<SpeechState, "sentences">): void {
    this.append(new Int16Array(Math.round((pauseSeconds / this.settings.speed) * SAMPLE_RATE)));
    const sentencesBefore = state.sentences.length;
    const secondsBefore = this.clip.durationSeconds;
    this.#part = { start, text, locator: new SentenceLocator(text), sentencesBefore, secondsBefore };
    this.#partCount++;
    this.isBetween = this.#partCount > 1;
  }

  append(samples: Int16Array<ArrayBuffer>): void {
    this.clip.append(samples);
    this.peaks.append(samples);
    if (samples.length) this.isBetween = false;
  }

  /** How long the whole text will be as speech, about; reckoned once, since a text is long. */
  get expectedSeconds(): number {
    this.#expectedSeconds ??= expectedSeconds(this.settings.text, this.settings.speed);
    return this.#expectedSeconds;
  }

  /** Where the part that arrives will end in the audio, about: from its newest sentence on, the text says how long it is. */
  partEndSeconds({ sentences, ranges }: Pick<SpeechState, "sentences" | "ranges">): number {
    if (!this.#part) return 0;
    const { start, text, sentencesBefore, secondsBefore } = this.#part;
    const range = sentences.length > sentencesBefore ? ranges.at(-1) : null;
    const [from, at] = range ? [range.start - start, sentences.at(-1)?.atSeconds ?? 0] : [0, secondsBefore];
    return Math.max(this.clip.durationSeconds, at + expectedSeconds(text.slice(from), this.settings.speed));
  }

  /** The figures are those of the first part: the later ones follow no click. */
  get isInFirstPart(): boolean {
    return this.#partCount <= 1;
  }

  get hasAudio(): boolean {
    return this.clip.sampleCount > 0;
  }

  /** The state's sentences with further ones, each with its place in the text. */
  located(state: SpeechState, further: readonly Sentence[]): Pick<SpeechState, "sentences" | "ranges"> {
    this.#part ??= this.#whole();
    const { start, locator, sentencesBefore, secondsBefore } = this.#part;
    const ranges = further.map(({ text }) => moved(locator.next(text), start));
    const sentences = further.map(({ index, text, atSeconds }) => {
      return { index: index + sentencesBefore, text, atSeconds: atSeconds + secondsBefore };
    });
    return { sentences: [...state.sentences, ...sentences], ranges: [...state.ranges, ...ranges] };
  }

  /** Those of a part's sentences that are not in the state yet: of a server that names none earlier. */
  unnamed(state: Pick<SpeechState, "sentences">, ofPart: readonly Sentence[]): readonly Sentence[] {
    return ofPart.slice(state.sentences.length - (this.#part?.sentencesBefore ?? 0));
  }

  /** A speech over WebRTC has one part. */
  #whole(): StartedPart {
    const { text } = this.settings;
    return { start: 0, text, locator: new SentenceLocator(text), sentencesBefore: 0, secondsBefore: 0 };
  }

  /** What the history keeps of this speech. */
  finished(state: SpeechState, isComplete: boolean): FinishedSpeech {
    const { clickedAt, moments, region, route, sentences } = state;
    return {
      settings: this.settings,
      seed: this.settings.seed,
      startedAt: clickedAt,
      audio: this.clip.wav(),
      sampleRate: this.clip.sampleRate,
      durationSeconds: this.clip.durationSeconds,
      peaks: this.peaks.values(),
      firstAudioMilliseconds: (moments && figuresOf(moments).firstAudioMilliseconds) ?? 0,
      region,
      route,
      sentences,
      isComplete,
    };
  }
}

function moved(range: TextRange | null, by: number): TextRange | null {
  return range && { start: range.start + by, stop: range.stop + by };
}
