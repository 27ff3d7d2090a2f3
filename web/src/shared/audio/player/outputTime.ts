// When a moment of an AudioContext leaves the loudspeaker, on the clock of performance.now(). Pure; milliseconds but for
// the context's own seconds.

const TOLERANCE_MILLISECONDS = 50; // clocks are rounded
// Firefox 153 locks its audio graph while it asks the device for the latency, which waits for the device's callback, which
// waits for an audio thread that may wait for that lock: where the thread is late, the tab freezes for good.
const FREEZES = /\bFirefox\//;
const FIREFOX_LATENCY_SECONDS = 0.0365; // its answer with PulseAudio, where it gives one

type Output = Pick<AudioContext, "outputLatency"> & Partial<Pick<AudioContext, "getOutputTimestamp">>;

/** Seconds from a context to the loudspeaker, as the browser estimates them; 0 where it has no estimate. */
export function outputLatency(context: Output, userAgent: string): number {
  return FREEZES.test(userAgent) ? FIREFOX_LATENCY_SECONDS : context.outputLatency || 0;
}

/** A moment of a context that has left the loudspeaker; empty where the browser has none. */
export function outputTimestamp(context: Output, userAgent: string): AudioTimestamp {
  return FREEZES.test(userAgent) ? {} : (context.getOutputTimestamp?.() ?? {});
}

/** From the browser's output timestamp, or from the latency where a browser has none or a wrong one. */
export function audibleAt(
  contextTime: number,
  { contextTime: at, performanceTime }: AudioTimestamp,
  latency: number,
  now: number,
): number {
  // The timestamp is of a moment that has been played. WebKitGTK 2.50 adds the stream's time to it a second time.
  const isUsable = at && performanceTime && performanceTime <= now + TOLERANCE_MILLISECONDS;
  return isUsable ? performanceTime + 1000 * (contextTime - at) : now + latency;
}
