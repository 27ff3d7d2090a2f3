// Records the microphone without the browser's processing, and reports its level meanwhile. Knows MediaRecorder and an
// analyser; does not know what the recording is for.
import { decibels } from "./levels";

export type Level = { readonly seconds: number; readonly dbfs: number; readonly peak: number };
export type Recording = { readonly stop: () => void };

const LEVEL_INTERVAL_MS = 50;
const BITS_PER_SECOND = 256_000; // near transparent: the voice is made of what this keeps
// Noise suppression and automatic gain change the timbre that a voice is cloned from.
const MICROPHONE: MediaTrackConstraints = {
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
  channelCount: 1,
};

/** Browsers give pages a microphone on HTTPS and on localhost alone. */
export function canRecord(): boolean {
  return navigator.mediaDevices !== undefined && typeof MediaRecorder !== "undefined";
}

/** Record until `stop` or `maxSeconds`; `onLevel` is called 20 times a second, `onEnd` once with the file. */
export async function record(
  maxSeconds: number,
  onLevel: (level: Level) => void,
  onEnd: (recording: Blob) => void,
): Promise<Recording> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
  const context = new AudioContext();
  const recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_PER_SECOND });
  const parts: Blob[] = [];
  const startedAt = performance.now();
  const meter = levelMeter(context, stream);
  const timer = window.setInterval(() => {
    const seconds = (performance.now() - startedAt) / 1000;
    onLevel({ seconds, ...meter() });
    if (seconds >= maxSeconds) stop();
  }, LEVEL_INTERVAL_MS);
  const stop = () => {
    if (recorder.state !== "inactive") recorder.stop();
  };
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    window.clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
    void context.close();
    onEnd(new Blob(parts, { type: recorder.mimeType }));
  };
  recorder.start();
  return { stop };
}

function levelMeter(context: AudioContext, stream: MediaStream): () => { dbfs: number; peak: number } {
  const analyser = new AnalyserNode(context, { fftSize: 4096 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return () => {
    analyser.getFloatTimeDomainData(samples);
    let squares = 0;
    let peak = 0;
    for (const sample of samples) {
      squares += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    return { dbfs: decibels(squares / samples.length), peak };
  };
}

/** Decode a file to its channels; null for one that this browser cannot decode (the server may). */
export async function decode(file: Blob): Promise<{ channels: Float32Array[]; sampleRate: number } | null> {
  const context = new OfflineAudioContext(1, 1, 48_000);
  try {
    const audio = await context.decodeAudioData(await file.arrayBuffer());
    const channels = Array.from({ length: audio.numberOfChannels }, (_, index) => audio.getChannelData(index));
    return { channels, sampleRate: audio.sampleRate };
  } catch {
    return null;
  }
}
