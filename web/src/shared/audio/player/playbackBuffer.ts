// Decides what the audio thread plays next: waits for enough samples, plays, counts underruns, fades where it is stopped.
// Pure; `PlaybackProcessor` in player.worklet.ts is the thin shell around it.
import { RingBuffer } from "./ringBuffer";

export type BufferState = "stopped" | "filling" | "playing" | "ended";
export type BufferEvent = "started" | "underrun" | "ended";

const NOTHING: readonly BufferEvent[] = [];

export class PlaybackBuffer {
  readonly #ring: RingBuffer;
  #state: BufferState = "stopped";
  #isFinal = false; // no samples follow those in the ring
  isPaused = false;
  #isCut = false; // the next block fades out, so that a stop makes no click
  #needed = 0; // samples, before playback goes on
  #resumeSamples: readonly number[] = []; // what is needed after the first underrun, the second, ...
  played = 0; // samples since start()
  underruns = 0;

  constructor(capacity: number) {
    this.#ring = new RingBuffer(capacity);
  }

  get state(): BufferState {
    return this.#state;
  }

  get buffered(): number {
    return this.#ring.length;
  }

  /** Begin anew: playback starts once `neededSamples` wait, or all there are. */
  start(neededSamples: number, resumeSamples: readonly number[]): void {
    this.#ring.clear();
    this.#state = "filling";
    this.#isFinal = this.isPaused = this.#isCut = false;
    this.#needed = neededSamples;
    this.#resumeSamples = resumeSamples;
    this.played = 0;
    this.underruns = 0;
  }

  write(samples: Float32Array): number {
    return this.#ring.write(samples);
  }

  finish(): void {
    this.#isFinal = true;
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
    if (this.#ring.length < this.#needed && !this.#isFinal) return silent(block);
    const isFirst = this.played === 0;
    this.#state = "playing";
    const events = this.#play(block);
    return isFirst && this.played > 0 ? ["started", ...events] : events;
  }

  #play(block: Float32Array): readonly BufferEvent[] {
    const count = this.#ring.read(block);
    this.played += count;
    if (count === block.length) return NOTHING;
    if (this.#isFinal) {
      this.#state = "ended";
      return ["ended"];
    }
    const most = this.#resumeSamples.length - 1;
    this.#needed = this.#resumeSamples[Math.min(this.underruns, most)] ?? this.#needed;
    this.underruns++;
    this.#state = "filling";
    return ["underrun"];
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
