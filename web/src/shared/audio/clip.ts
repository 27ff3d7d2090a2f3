// The audio of one speech while it arrives and afterwards. Old parts lie in Blobs, which browsers may keep on disk, so
// that a long speech takes little memory; the newest part is in memory, where live playback reads it. Pure.
import { SAMPLE_BYTES, wavHeader } from "./pcm";

const PART_SAMPLES = 1 << 19; // 22 s at 24 kHz, 1 MiB

type Chunk = { readonly start: number; readonly samples: Int16Array<ArrayBuffer> };

export class Clip {
  readonly #parts: Blob[] = []; // of PART_SAMPLES or more each, all before #chunks
  #partSamples = 0;
  #chunks: Chunk[] = [];
  #sampleCount = 0;

  constructor(readonly sampleRate: number) {}

  get sampleCount(): number {
    return this.#sampleCount;
  }

  get durationSeconds(): number {
    return this.#sampleCount / this.sampleRate;
  }

  append(samples: Int16Array<ArrayBuffer>): void {
    if (!samples.length) return;
    this.#chunks.push({ start: this.#sampleCount, samples });
    this.#sampleCount += samples.length;
    if (this.#sampleCount - this.#partSamples >= 2 * PART_SAMPLES) this.#moveOldestPart();
  }

  /** Samples from `start`, at most `count`; at once where they are in memory, since live playback cannot wait. */
  read(start: number, count: number): Int16Array<ArrayBuffer> | Promise<Int16Array<ArrayBuffer>> {
    const end = Math.min(start + count, this.#sampleCount);
    if (start >= end) return new Int16Array(0);
    if (start >= this.#partSamples) return this.#fromChunks(start, end);
    return this.#fromParts(start, Math.min(end, this.#partSamples));
  }

  wav(): Blob {
    const parts = [
      wavHeader(this.#sampleCount, this.sampleRate),
      ...this.#parts,
      ...this.#chunks.map((c) => c.samples),
    ];
    return new Blob(parts, { type: "audio/wav" });
  }

  #fromChunks(start: number, end: number): Int16Array<ArrayBuffer> {
    const samples = new Int16Array(end - start);
    for (const chunk of this.#chunks) {
      const from = Math.max(start, chunk.start);
      const until = Math.min(end, chunk.start + chunk.samples.length);
      if (from < until) samples.set(chunk.samples.subarray(from - chunk.start, until - chunk.start), from - start);
    }
    return samples;
  }

  async #fromParts(start: number, end: number): Promise<Int16Array<ArrayBuffer>> {
    const blob = new Blob(this.#parts).slice(start * SAMPLE_BYTES, end * SAMPLE_BYTES);
    return new Int16Array(await blob.arrayBuffer());
  }

  #moveOldestPart(): void {
    const until = this.#partSamples + PART_SAMPLES;
    const kept = this.#chunks.findIndex((chunk) => chunk.start >= until);
    const moved = this.#chunks.slice(0, kept);
    this.#parts.push(new Blob(moved.map((chunk) => chunk.samples)));
    this.#chunks = this.#chunks.slice(kept);
    this.#partSamples = this.#chunks[0]?.start ?? this.#sampleCount;
  }
}
