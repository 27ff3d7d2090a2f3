// Peaks for a waveform, of audio whose length is not known yet: when all bins are full, neighbours are joined, so that
// any length takes the same memory. Pure.

export class Peaks {
  readonly #bins: Float32Array;
  #samplesPerBin: number;
  #filled = 0; // complete bins
  #inBin = 0; // samples in the bin after them

  constructor(bins: number, samplesPerBin: number) {
    this.#bins = new Float32Array(bins);
    this.#samplesPerBin = samplesPerBin;
  }

  get samplesPerBin(): number {
    return this.#samplesPerBin;
  }

  append(samples: Int16Array): void {
    for (const sample of samples) {
      if (this.#filled === this.#bins.length) this.#halve();
      const peak = Math.abs(sample) / 32768;
      if (peak > (this.#bins[this.#filled] as number)) this.#bins[this.#filled] = peak;
      if (++this.#inBin === this.#samplesPerBin) {
        this.#filled++;
        this.#inBin = 0;
      }
    }
  }

  /** The peaks so far, each of `samplesPerBin` samples; the last bin may be incomplete. */
  values(): Float32Array {
    return this.#bins.slice(0, this.#filled + (this.#inBin ? 1 : 0));
  }

  /** The peaks of a number of equal parts, for a canvas with so many bars. */
  resized(bars: number): Float32Array {
    return resizedPeaks(this.values(), bars);
  }

  #halve(): void {
    const half = this.#bins.length >> 1;
    for (let at = 0; at < half; at++) {
      this.#bins[at] = Math.max(this.#bins[2 * at] as number, this.#bins[2 * at + 1] as number);
    }
    this.#bins.fill(0, half);
    this.#filled = half;
    this.#samplesPerBin *= 2;
  }
}

export function resizedPeaks(peaks: Float32Array, bars: number): Float32Array {
  const resized = new Float32Array(bars);
  for (let bar = 0; bar < bars; bar++) {
    const from = Math.floor((bar * peaks.length) / bars);
    const until = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / bars));
    for (let at = from; at < until && at < peaks.length; at++) {
      resized[bar] = Math.max(resized[bar] as number, peaks[at] as number);
    }
  }
  return resized;
}
