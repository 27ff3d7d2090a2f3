// The audio thread's shell around PlaybackLoop. Built as a file of its own ('self' in the policy), since an AudioWorklet
// loads its module by URL.
import { PlaybackLoop } from "./playbackLoop";
import { PROCESSOR_NAME, type ToWorklet } from "./playerMessages";

// The globals of AudioWorkletGlobalScope, which TypeScript's libraries do not have.
declare const sampleRate: number;
declare const currentTime: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
  abstract process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}

class PlaybackProcessor extends AudioWorkletProcessor {
  readonly #loop = new PlaybackLoop(sampleRate, (message) => this.port.postMessage(message));

  constructor() {
    super();
    this.port.onmessage = (message: MessageEvent<ToWorklet>) => this.#loop.take(message.data);
  }

  override process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const block = outputs[0]?.[0];
    if (block) this.#loop.process(block, currentTime);
    return true;
  }
}

registerProcessor(PROCESSOR_NAME, PlaybackProcessor);
