// What a recording measures, by the server's own rules, and what is wrong with it before it is sent. Pure.
// A test compares the limits with the server's.

export const RECORDING_LIMITS = {
  minSeconds: 1,
  maxSeconds: 30,
  minLevelDbfs: -60,
  maxClippedShare: 0.01,
  maxBytes: 10 * 2 ** 20,
} as const;
const FULL_SCALE = 0.999;
const LEAST_POWER = 1e-12; // -120 dB: silence has a level too

export type Measured = {
  readonly seconds: number;
  readonly levelDbfs: number; // root of the mean square of all channels' mean
  readonly clippedShare: number; // of the samples, 0 to 1
};

/** `refused`: the server would refuse it for this; `warning`: it would make a worse voice. */
export type Finding = { readonly kind: "refused" | "warning"; readonly name: FindingName };
type FindingName = "tooShort" | "tooLong" | "silent" | "clipped" | "tooLarge" | "short" | "quiet" | "someClipping";

// Beside the server's limits: where speech of a near microphone is not any more, and what makes a poorer voice.
const QUIET_DBFS = -42;
const SHORT_SECONDS = 4;
const SOME_CLIPPED_SHARE = 0.001;

export function decibels(meanSquare: number): number {
  return 10 * Math.log10(meanSquare + LEAST_POWER);
}

/** Measure samples, one array a channel, as the server does. */
export function measure(channels: readonly Float32Array[], sampleRate: number): Measured {
  const length = channels[0]?.length ?? 0;
  let squares = 0;
  let clipped = 0;
  for (let at = 0; at < length; at++) {
    let sum = 0;
    let peak = 0;
    for (const channel of channels) {
      const sample = channel[at] as number;
      sum += sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    squares += (sum / channels.length) ** 2;
    if (peak >= FULL_SCALE) clipped++;
  }
  const samples = Math.max(1, length);
  return { seconds: length / sampleRate, levelDbfs: decibels(squares / samples), clippedShare: clipped / samples };
}

/** What is wrong, refusals first; `measured` is null for a file that this browser cannot decode. */
export function findings(measured: Measured | null, bytes: number): Finding[] {
  const limits = RECORDING_LIMITS;
  const found: [boolean, Finding["kind"], FindingName][] = [[bytes > limits.maxBytes, "refused", "tooLarge"]];
  if (measured) {
    const { seconds, levelDbfs, clippedShare } = measured;
    found.push(
      [seconds < limits.minSeconds, "refused", "tooShort"],
      [seconds > limits.maxSeconds, "refused", "tooLong"],
      [levelDbfs < limits.minLevelDbfs, "refused", "silent"],
      [clippedShare > limits.maxClippedShare, "refused", "clipped"],
      [seconds >= limits.minSeconds && seconds < SHORT_SECONDS, "warning", "short"],
      [levelDbfs >= limits.minLevelDbfs && levelDbfs < QUIET_DBFS, "warning", "quiet"],
      [clippedShare > SOME_CLIPPED_SHARE && clippedShare <= limits.maxClippedShare, "warning", "someClipping"],
    );
  }
  return found.filter(([is]) => is).map(([, kind, name]) => ({ kind, name }));
}
