// Decides what the audio thread plays next: waits for enough samples, plays, counts underruns, fades where it is stopped.
// An underrun is a silence while samples were due. Where none were, between two parts of a text or at the end, it is none.
// Pure; `PlaybackProcessor` in player.worklet.ts is the thin shell around it.
import { RingBuffer } from "./ringBuffer";

export type BufferState = "stopped" | "filling" | "playing" | "ended";
export type BufferEvent = "started" | "underrun" | "wait" | "ended";

const NOTHING: readonly BufferEvent[] = [];

export class PlaybackBuffer {
  readonly #ring: RingBuffer;
  #state: BufferState = "stopped";
  #isFinal = false; // no samples follow those in the ring
  #isDue = true; // more samples are due; false between two parts of a text
  isPaused = false;
  #isCut = false; // the next block fades out, so that a stop makes no click
  #needed = 0; // samples, before playback goes on
  #startNeeded = 0; // the same, at the start
  #resumeSamples: readonly number[] = []; // what is needed after the first underrun, the second, ...
  played = 0; // samples since start()
  underruns = 0;
  waits = 0; // silences between two parts
  #silence: "underrun" | "wait" | null = null; // since the ring was empty, until the next samples

  constructor(capacity: number) {
    this.#ring = new RingBuffer(capacity);
  }

  get state(): BufferState {
    return this.#state;
  }

  /** Whether nothing sounds because the next part has sent nothing yet. */
  get isWaiting(): boolean {
    return this.#silence === "wait";
  }

  get buffered(): number {
    return this.#ring.length;
  }

  /** Begin anew: playback starts once `neededSamples` wait, or all there are. */
  start(neededSamples: number, resumeSamples: readonly number[]): void {
    this.#ring.clear();
    this.#state = "filling";
    this.#isFinal = this.isPaused = this.#isCut = false;
    this.#isDue = true;
    this.#needed = this.#startNeeded = neededSamples;
    this.#resumeSamples = resumeSamples;
    this.played = 0;
    this.underruns = this.waits = 0;
    this.#silence = null;
  }

  write(samples: Float32Array): number {
    this.#isDue = true;
    this.#silence = null;
    return this.#ring.write(samples);
  }

  /** No samples are due until the next ones come: those of the next part. */
  between(): void {
    this.#isDue = false;
    if (this.#takeBackUnderrun()) this.#wait();
  }

  finish(): void {
    this.#isFinal = true;
    this.#takeBackUnderrun();
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
  }

  stop(): void {
    this.#isCut = this.#state === "playing" && !this.isPaused;
    if (!this.#isCut) this.#state = "stopped";
  }

  /** Fill one block; returns what happened in it. */
  fill(block: Float32Array): readonly BufferEvent[] {
    if (this.#isCut) return this.#fadeOut(block);
    if (this.isPaused || this.#state === "stopped" || this.#state === "ended") return silent(block);
    if (this.#state === "filling") return this.#fillOrWait(block);
    return this.#play(block);
  }

  #fillOrWait(block: Float32Array): readonly BufferEvent[] {
    if (!this.#isReady()) return silent(block);
    const isFirst = this.played === 0;
    this.#state = "playing";
    const events = this.#play(block);
    return isFirst && this.played > 0 ? ["started", ...events] : events;
  }

  /** Whether as much is in the ring as is waited for, or all of a part. */
  #isReady(): boolean {
    if (this.#ring.length >= this.#needed || this.#isFinal) return true;
    return !this.#isDue && this.#ring.length > 0;
  }

  #play(block: Float32Array): readonly BufferEvent[] {
    const count = this.#ring.read(block);
    this.played += count;
    if (count === block.length) return NOTHING;
    if (this.#isFinal) {
      this.#state = "ended";
      return ["ended"];
    }
    this.#state = "filling";
    if (!this.#isDue) return this.#wait();
    const most = this.#resumeSamples.length - 1;
    this.#needed = this.#resumeSamples[Math.min(this.underruns, most)] ?? this.#needed;
    this.underruns++;
    this.#silence = "underrun";
    return ["underrun"];
  }

  #wait(): readonly BufferEvent[] {
    this.#needed = Math.max(this.#startNeeded, this.#resumeSamples[0] ?? 0); // its server is hardly ahead of playback
    this.waits++;
    this.#silence = "wait";
    return ["wait"];
  }

  /** The ring was empty because all had been played, which its sender says only now; whether that is so. */
  #takeBackUnderrun(): boolean {
    if (this.#silence !== "underrun") return false;
    this.#silence = null;
    this.underruns--;
    return true;
  }

  #fadeOut(block: Float32Array): readonly BufferEvent[] {
    this.#ring.read(block);
    for (let at = 0; at < block.length; at++) block[at] = (block[at] as number) * (1 - at / block.length);
    this.#isCut = false;
    this.#state = "stopped";
    return NOTHING;
  }
}

function silent(block: Float32Array): readonly BufferEvent[] {
  block.fill(0);
  return NOTHING;
}
