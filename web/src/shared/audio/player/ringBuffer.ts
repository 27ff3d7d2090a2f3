// Samples between the page and the audio thread: a ring of fixed size. Pure; runs inside the AudioWorklet.

export class RingBuffer {
  readonly #samples: Float32Array;
  #readAt = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#samples = new Float32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get free(): number {
    return this.#samples.length - this.#length;
  }

  /** Append what fits; returns how many samples did. */
  write(samples: Float32Array): number {
    const count = Math.min(samples.length, this.free);
    const writeAt = (this.#readAt + this.#length) % this.#samples.length;
    const first = Math.min(count, this.#samples.length - writeAt);
    this.#samples.set(samples.subarray(0, first), writeAt);
    this.#samples.set(samples.subarray(first, count), 0);
    this.#length += count;
    return count;
  }

  /** Fill `target` with the oldest samples, and silence after them; returns how many were read. */
  read(target: Float32Array): number {
    const count = Math.min(target.length, this.#length);
    const first = Math.min(count, this.#samples.length - this.#readAt);
    target.set(this.#samples.subarray(this.#readAt, this.#readAt + first));
    target.set(this.#samples.subarray(0, count - first), first);
    target.fill(0, count);
    this.#readAt = (this.#readAt + count) % this.#samples.length;
    this.#length -= count;
    return count;
  }

  clear(): void {
    this.#readAt = 0;
    this.#length = 0;
  }
}
