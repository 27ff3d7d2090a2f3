// 16-bit little-endian PCM: bytes to samples, and the WAV file around them. Pure.

export const SAMPLE_BYTES = 2;

/** Turns a stream of bytes into samples; half a sample waits for its other byte. */
export class PcmDecoder {
  #odd: number | null = null;

  decode(bytes: Uint8Array): Int16Array<ArrayBuffer> {
    const head = this.#odd === null ? 0 : 1;
    const whole = (bytes.length + head) >> 1;
    const joined = new Uint8Array(whole * SAMPLE_BYTES);
    const taken = joined.length - head;
    if (whole > 0) {
      if (this.#odd !== null) joined[0] = this.#odd;
      joined.set(bytes.subarray(0, taken), head);
      this.#odd = null;
    }
    if (bytes.length > Math.max(0, taken)) this.#odd = bytes[bytes.length - 1] ?? null;
    return new Int16Array(joined.buffer); // every platform with a browser is little-endian
  }
}

export function base64Bytes(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

export function floatSamples(samples: Int16Array): Float32Array<ArrayBuffer> {
  const floats = new Float32Array(samples.length);
  for (let at = 0; at < samples.length; at++) floats[at] = (samples[at] as number) / 32768;
  return floats;
}

/** The 44 bytes before the samples of a mono file. */
export function wavHeader(sampleCount: number, sampleRate: number): ArrayBuffer {
  const header = new DataView(new ArrayBuffer(44));
  const bytes = sampleCount * SAMPLE_BYTES;
  const word = (at: number, text: string) => {
    for (let each = 0; each < 4; each++) header.setUint8(at + each, text.charCodeAt(each));
  };
  word(0, "RIFF");
  header.setUint32(4, bytes + 36, true);
  word(8, "WAVE");
  word(12, "fmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // one channel
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, sampleRate * SAMPLE_BYTES, true);
  header.setUint16(32, SAMPLE_BYTES, true);
  header.setUint16(34, 8 * SAMPLE_BYTES, true);
  word(36, "data");
  header.setUint32(40, bytes, true);
  return header.buffer;
}
