// Where played samples go: an AudioWorklet, or a ScriptProcessorNode where browsers have no worklets, which is on plain
// HTTP from another machine (http://192.168.1.5:6006 is no secure context).
import { PlaybackLoop } from "./playbackLoop";
import workletUrl from "./player.worklet?worker&url";
import { type FromWorklet, PROCESSOR_NAME, type ToWorklet } from "./playerMessages";

const SCRIPT_BLOCK = 1024; // samples; smaller blocks crackle while the page is busy

export type Output = (message: ToWorklet) => void;

/** A context of the given rate; of the device's own where the browser refuses that. */
export function newContext(sampleRate: number): AudioContext {
  try {
    return new AudioContext({ sampleRate, latencyHint: "interactive" });
  } catch {
    return new AudioContext({ latencyHint: "interactive" });
  }
}

/** Open an output that plays into a node. */
export async function openOutput(into: AudioNode, onMessage: (message: FromWorklet) => void): Promise<Output> {
  return into.context.audioWorklet ? workletOutput(into, onMessage) : scriptOutput(into, onMessage);
}

async function workletOutput(into: AudioNode, onMessage: (message: FromWorklet) => void): Promise<Output> {
  await into.context.audioWorklet.addModule(workletUrl);
  const node = new AudioWorkletNode(into.context, PROCESSOR_NAME, { numberOfInputs: 0, outputChannelCount: [1] });
  node.port.onmessage = (message: MessageEvent<FromWorklet>) => onMessage(message.data);
  node.connect(into);
  return (message) => node.port.postMessage(message, message.type === "samples" ? [message.samples.buffer] : []);
}

function scriptOutput(into: AudioNode, onMessage: (message: FromWorklet) => void): Output {
  const context = into.context as AudioContext; // no other kind of context is made here
  const loop = new PlaybackLoop(context.sampleRate, onMessage);
  const node = context.createScriptProcessor(SCRIPT_BLOCK, 0, 1);
  node.onaudioprocess = ({ outputBuffer, playbackTime }) => loop.process(outputBuffer.getChannelData(0), playbackTime);
  node.connect(into);
  return (message) => loop.take(message);
}
