// Holds the state of the current speech and calls watchers after changes. Does not know what the state means.
import { IDLE, type SpeechState } from "./speechState";

export class StateStore {
  readonly #watchers = new Set<() => void>();
  #state: SpeechState = IDLE;
  #isNotifying = false; // watchers are called in the next frame: a change must not delay a request or a sound

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  readonly current = (): SpeechState => this.#state;

  /** Start a speech: what the one before left is dropped. */
  begin(part: Partial<SpeechState>): void {
    this.#state = IDLE;
    this.change(part);
  }

  change(part: Partial<SpeechState>): void {
    this.#state = { ...this.#state, ...part };
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    nextFrame(() => {
      this.#isNotifying = false;
      for (const watcher of this.#watchers) watcher();
    });
  }
}

/** A hidden page has no frames, and its state changes all the same. */
function nextFrame(callback: () => void): void {
  if (typeof requestAnimationFrame === "function" && !document.hidden) requestAnimationFrame(callback);
  else setTimeout(callback);
}
