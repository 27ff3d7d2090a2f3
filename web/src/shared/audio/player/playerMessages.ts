// What the page and the audio thread send each other. Each message names its playback: late ones of an earlier playback
// are dropped.

export type ToWorklet =
  | { readonly type: "start"; readonly id: number; readonly needed: number; readonly resume: readonly number[] }
  | { readonly type: "samples"; readonly id: number; readonly samples: Float32Array }
  | { readonly type: "between"; readonly id: number } // nothing is due until more samples come
  | { readonly type: "finish"; readonly id: number }
  | { readonly type: "pause"; readonly id: number; readonly isPaused: boolean }
  | { readonly type: "stop"; readonly id: number };

export type FromWorklet = {
  readonly id: number;
  readonly event: "started" | "underrun" | "wait" | "ended" | "progress";
  readonly played: number; // samples of the device's rate, when this was sent
  readonly buffered: number;
  readonly underruns: number;
  readonly waits: number; // between two parts of a text
  readonly isWaiting: boolean;
  readonly isMoving: boolean;
  readonly contextTime: number; // of the block after `played`; of a start, of its first block
};

export const PROCESSOR_NAME = "voxfleet-player";
export const BUFFER_SECONDS = 10; // in the audio thread; more stays in the clip until there is room
