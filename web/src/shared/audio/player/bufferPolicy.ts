// How much audio must wait in the buffer before playback starts, or goes on after an underrun. Pure.

export type Pace = number; // seconds of audio that arrive in a second; Infinity until it is known

const FIRST_SECONDS = 0.1; // less than one patch (160 ms): the first audio is played as it arrives
const PER_UNDERRUN_SECONDS = 0.15;
const COUNTED_UNDERRUNS = 4;
const AFTER_UNDERRUN_SECONDS = 0.4;
const MOST_SECONDS = 4;
const COMFORTABLE_PACE = 1.15; // above it, jitter alone empties the buffer

/** Seconds for a start: small while the server is faster than playback, more where the last speech had underruns. */
export function startSeconds(pace: Pace, underruns: number): number {
  const first = FIRST_SECONDS + PER_UNDERRUN_SECONDS * Math.min(underruns, COUNTED_UNDERRUNS);
  if (pace >= COMFORTABLE_PACE) return first;
  return Math.min(MOST_SECONDS, first + (COMFORTABLE_PACE - pace) * 4);
}

/** Seconds after the given number of underruns in one speech: each doubles the wait, so that gaps are few and long. */
export function resumeSeconds(underruns: number): number {
  return Math.min(MOST_SECONDS, AFTER_UNDERRUN_SECONDS * 2 ** Math.max(0, underruns - 1));
}

/** The pace of a stream, without its first chunk, whose wait says nothing of what follows. */
export function measuredPace(audioSecondsAfterFirst: number, secondsSinceFirst: number): Pace {
  if (secondsSinceFirst < 0.3 || audioSecondsAfterFirst <= 0) return Number.POSITIVE_INFINITY; // too short to say
  return audioSecondsAfterFirst / secondsSinceFirst;
}
