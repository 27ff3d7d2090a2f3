// Converts the sample rate of a stream, for devices whose AudioContext refuses the speech's rate. Cubic interpolation
// between four samples (Catmull-Rom). Pure.

export class StreamResampler {
  readonly #step: number; // input samples for one output sample
  #tail: Float32Array<ArrayBuffer> = new Float32Array(3); // silence before the first sample
  #position = 1; // of the next output sample, in the tail and what follows

  constructor(fromRate: number, toRate: number) {
    this.#step = fromRate / toRate;
  }

  convert(samples: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
    if (this.#step === 1) return samples;
    const input = new Float32Array(this.#tail.length + samples.length);
    input.set(this.#tail);
    input.set(samples, this.#tail.length);
    const count = Math.max(0, Math.ceil((input.length - 2 - this.#position) / this.#step));
    const output = new Float32Array(count);
    for (let at = 0; at < count; at++) output[at] = interpolated(input, this.#position + at * this.#step);
    this.#position += count * this.#step;
    const dropped = Math.min(Math.floor(this.#position) - 1, input.length);
    this.#tail = input.slice(dropped);
    this.#position -= dropped;
    return output;
  }
}

function interpolated(input: Float32Array, position: number): number {
  const at = Math.floor(position);
  const t = position - at;
  const [a, b, c, d] = [input[at - 1] ?? 0, input[at] ?? 0, input[at + 1] ?? 0, input[at + 2] ?? 0];
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}
