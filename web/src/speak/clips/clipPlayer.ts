// Plays one short clip at a time: a voice's preview, a recording, a speech of the history. Knows one audio element; does
// not know where clips come from, or the player of the page's own speech.
export type ClipState = {
  readonly key: string | null; // which clip
  readonly phase: "idle" | "loading" | "playing";
  readonly error: string | null; // why the clip `key` could not be played
};
type Load = (signal: AbortSignal) => Promise<Blob>;

const IDLE: ClipState = { key: null, phase: "idle", error: null };

export class ClipPlayer {
  readonly #audio = new Audio();
  readonly #subscribers = new Set<() => void>();
  #state: ClipState = IDLE;
  #loading: AbortController | null = null;
  #url: string | null = null;

  constructor() {
    this.#audio.addEventListener("ended", () => this.stop());
  }

  readonly state = (): ClipState => this.#state;

  readonly subscribe = (subscriber: () => void): (() => void) => {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  };

  /** Stop what plays, load a clip and play it. */
  async play(key: string, load: Load): Promise<void> {
    this.stop();
    const loading = new AbortController();
    this.#loading = loading;
    this.#set({ key, phase: "loading", error: null });
    try {
      const clip = await load(loading.signal);
      if (loading.signal.aborted) return;
      this.#url = URL.createObjectURL(clip);
      this.#audio.src = this.#url;
      this.#set({ key, phase: "playing", error: null });
      await this.#audio.play();
    } catch (error) {
      // An aborted load, or play() interrupted by a later stop, is no failure of the clip.
      if (!loading.signal.aborted) this.#fail(key, error);
    }
  }

  stop(): void {
    this.#loading?.abort();
    this.#loading = null;
    this.#audio.pause();
    if (this.#url !== null) URL.revokeObjectURL(this.#url);
    this.#url = null;
    if (this.#state !== IDLE) this.#set(IDLE);
  }

  #fail(key: string, error: unknown): void {
    this.stop();
    this.#set({ key, phase: "idle", error: error instanceof Error ? error.message : String(error) });
  }

  #set(state: ClipState): void {
    this.#state = state;
    for (const subscriber of this.#subscribers) subscriber();
  }
}
