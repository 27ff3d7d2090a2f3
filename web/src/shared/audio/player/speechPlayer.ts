// Plays a clip while it grows, from any place in it: moves samples from the clip to the audio thread as there is room,
// and knows which place is audible now. One AudioContext for the page, made before the first click where possible.

import type { Clip } from "../clip";
import { floatSamples } from "../pcm";
import { StreamResampler } from "../resampler";
import { resumeSeconds } from "./bufferPolicy";
import { newContext, type Output, openOutput } from "./output";
import { audibleAt, outputLatency, outputTimestamp } from "./outputTime";
import { BUFFER_SECONDS, type FromWorklet, type ToWorklet } from "./playerMessages";

const SPEECH_RATE = 24_000;
const MOST_UNDERRUNS = 5; // after so many the wait stays the same
const SLICE_SECONDS = 1; // of one message to the audio thread
const AHEAD_SECONDS = BUFFER_SECONDS - 2 * SLICE_SECONDS;
const SILENT_AFTER_MILLISECONDS = 3000; // a context runs within tenths of a second, where it does at all
const SUSPEND_AFTER_MILLISECONDS = 15_000; // a running context uses a processor and a phone's battery

export type PlayerEvent =
  | { readonly type: "started"; readonly atMilliseconds: number } // on the clock of performance.now()
  | { readonly type: "progress"; readonly underruns: number; readonly waits: number; readonly isWaiting: boolean }
  | { readonly type: "ended" }
  | { readonly type: "silent" } // the browser has not started its audio output: no sound device, or not allowed
  | { readonly type: "failed"; readonly message: string }; // this browser gives no audio output

type Playback = {
  readonly id: number;
  readonly clip: Clip;
  readonly from: number; // samples of the clip
  readonly resampler: StreamResampler;
  sent: number; // samples of the clip, up to which they were sent
  isSending: boolean;
  follows: Following;
  said: Following; // what the audio thread knows of it
};

/** What follows the samples of a clip: more of them, those of the next part once it begins, or none. */
type Following = "samples" | "part" | "nothing";

export class SpeechPlayer {
  onEvent: (event: PlayerEvent) => void = () => {};
  #context: AudioContext | null = null;
  #gain: GainNode | null = null;
  #volume = 1;
  #output: Output | null = null;
  #playback: Playback | null = null;
  #last: FromWorklet | null = null;
  #lastId = 0;
  #queued: ToWorklet[] = []; // until the module has been loaded
  #suspending: ReturnType<typeof setTimeout> | undefined;
  #starting: ReturnType<typeof setTimeout> | undefined;

  /** Make the context and load its module, so that a click needs only to resume it. */
  prepare(): void {
    if (this.#context) return;
    this.#context = newContext(SPEECH_RATE);
    this.#gain = this.#context.createGain();
    this.#gain.connect(this.#context.destination);
    this.setVolume(this.#volume);
    openOutput(this.#gain, (message) => this.#take(message)).then(
      (output) => this.#opened(output),
      (error: unknown) => this.#failed(error),
    );
  }

  /** Call in the handler of a click: browsers let a context start nowhere else. */
  unlock(): void {
    this.prepare();
    clearTimeout(this.#suspending);
    void this.#context?.resume();
  }

  /** Play a clip from a place on, once `waitSeconds` of it are there; `isFinished` says that it grows no more. */
  play(clip: Clip, fromSeconds: number, waitSeconds: number, isFinished: boolean): void {
    this.unlock();
    const rate = this.#context?.sampleRate ?? clip.sampleRate;
    const from = Math.round(fromSeconds * clip.sampleRate);
    const resampler = new StreamResampler(clip.sampleRate, rate);
    const id = ++this.#lastId;
    this.#last = null;
    const follows = isFinished ? "nothing" : "samples";
    this.#playback = { id, clip, from, resampler, sent: from, isSending: false, follows, said: "samples" };
    const resume = Array.from({ length: MOST_UNDERRUNS }, (_, count) => Math.round(resumeSeconds(count + 1) * rate));
    this.#post({ type: "start", id, needed: Math.round(waitSeconds * rate), resume });
    void this.#pump();
    clearTimeout(this.#starting);
    this.#starting = setTimeout(() => this.#reportSilence(id), SILENT_AFTER_MILLISECONDS);
  }

  /** The clip has grown, and more is due. */
  grown(): void {
    this.#follow("samples");
  }

  /** A part of the text has sent all of its audio: nothing is due until the clip grows again. */
  between(): void {
    this.#follow("part");
  }

  /** The clip grows no more. */
  finish(): void {
    this.#follow("nothing");
  }

  pause(isPaused: boolean): void {
    if (!this.#playback) return;
    if (!isPaused) this.unlock();
    this.#post({ type: "pause", id: this.#playback.id, isPaused });
  }

  /** From 0 to 1, as loud as it sounds; the square of it is the gain. */
  setVolume(volume: number): void {
    this.#volume = volume;
    this.#gain?.gain.setTargetAtTime(volume ** 2, this.#context?.currentTime ?? 0, 0.01);
  }

  stop(): void {
    if (this.#playback) this.#post({ type: "stop", id: this.#playback.id });
    this.#playback = null;
    this.#suspendLater();
  }

  /** The place in the clip that is audible now, in seconds. */
  get positionSeconds(): number {
    const [playback, last, context] = [this.#playback, this.#last, this.#context];
    if (!playback || !last || !context) return playback ? playback.from / playback.clip.sampleRate : 0;
    const start = playback.from / playback.clip.sampleRate;
    const played = last.played / context.sampleRate;
    const latency = outputLatency(context, navigator.userAgent);
    const ahead = last.isMoving ? last.contextTime - context.currentTime + latency : 0;
    return start + Math.min(played, Math.max(0, played - ahead));
  }

  get underruns(): number {
    return this.#last?.underruns ?? 0;
  }

  #opened(output: Output): void {
    this.#output = output;
    for (const message of this.#queued.splice(0)) output(message);
  }

  #failed(error: unknown): void {
    this.#context = null; // the next click tries again
    this.#queued = [];
    if (this.#playback) this.onEvent({ type: "failed", message: String(error) });
  }

  /** Firefox without a sound device never starts a context, and says so nowhere. */
  #reportSilence(id: number): void {
    if (this.#playback?.id === id && this.#context?.state !== "running") this.onEvent({ type: "silent" });
  }

  #follow(follows: Following): void {
    if (this.#playback) this.#playback.follows = follows;
    void this.#pump();
  }

  async #pump(): Promise<void> {
    const playback = this.#playback;
    if (!playback || playback.isSending) return;
    playback.isSending = true;
    while (this.#playback === playback && this.#hasRoom(playback) && playback.sent < playback.clip.sampleCount) {
      const read = playback.clip.read(playback.sent, SLICE_SECONDS * playback.clip.sampleRate);
      const samples = read instanceof Promise ? await read : read;
      playback.sent += samples.length;
      const converted = playback.resampler.convert(floatSamples(samples));
      this.#post({ type: "samples", id: playback.id, samples: converted });
      playback.said = "samples";
    }
    playback.isSending = false;
    if (this.#playback === playback && playback.sent >= playback.clip.sampleCount) this.#say(playback);
  }

  #say(playback: Playback): void {
    const { id, follows, said } = playback;
    playback.said = follows;
    if (follows === said || follows === "samples") return;
    this.#post({ type: follows === "part" ? "between" : "finish", id });
  }

  #hasRoom(playback: Playback): boolean {
    const played = (this.#last?.played ?? 0) / (this.#context?.sampleRate ?? playback.clip.sampleRate);
    return (playback.sent - playback.from) / playback.clip.sampleRate - played < AHEAD_SECONDS;
  }

  #take(message: FromWorklet): void {
    if (message.id !== this.#playback?.id) return;
    this.#last = message;
    if (message.event === "started") {
      this.onEvent({ type: "started", atMilliseconds: this.#audibleAt(message.contextTime) });
    }
    const { underruns, waits, isWaiting } = message;
    this.onEvent({ type: "progress", underruns, waits, isWaiting });
    if (message.event === "ended") {
      this.#suspendLater();
      this.onEvent({ type: "ended" });
      return;
    }
    void this.#pump();
  }

  /** When a moment of the context leaves the loudspeaker, as the browser estimates it. */
  #audibleAt(contextTime: number): number {
    const context = this.#context;
    if (!context) return performance.now();
    const latency = 1000 * outputLatency(context, navigator.userAgent);
    return audibleAt(contextTime, outputTimestamp(context, navigator.userAgent), latency, performance.now());
  }

  #post(message: ToWorklet): void {
    if (this.#output) this.#output(message);
    else this.#queued.push(message);
  }

  #suspendLater(): void {
    clearTimeout(this.#suspending);
    this.#suspending = setTimeout(() => void this.#context?.suspend(), SUSPEND_AFTER_MILLISECONDS);
  }
}
