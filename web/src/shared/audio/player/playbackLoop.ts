// Between the messages of the page and PlaybackBuffer: the same in an AudioWorklet and in its stand-in. Pure.
import { PlaybackBuffer } from "./playbackBuffer";
import { BUFFER_SECONDS, type FromWorklet, type ToWorklet } from "./playerMessages";

const PROGRESS_SECONDS = 0.04;

export class PlaybackLoop {
  readonly #buffer: PlaybackBuffer;
  readonly #sampleRate: number;
  readonly #post: (message: FromWorklet) => void;
  #id = 0;
  #nextProgress = 0;

  constructor(sampleRate: number, post: (message: FromWorklet) => void) {
    this.#buffer = new PlaybackBuffer(BUFFER_SECONDS * sampleRate);
    this.#sampleRate = sampleRate;
    this.#post = post;
  }

  take(message: ToWorklet): void {
    if (message.type === "start") {
      this.#id = message.id;
      this.#nextProgress = 0;
      this.#buffer.start(message.needed, message.resume);
    }
    if (message.id !== this.#id) return;
    if (message.type === "samples") this.#buffer.write(message.samples);
    if (message.type === "between") this.#buffer.between();
    if (message.type === "finish") this.#buffer.finish();
    if (message.type === "pause") this.#buffer.pause(message.isPaused);
    if (message.type === "stop") this.#buffer.stop();
  }

  /** Fill a block that is played at `contextTime`. */
  process(block: Float32Array, contextTime: number): void {
    const events = this.#buffer.fill(block);
    const end = contextTime + block.length / this.#sampleRate;
    for (const event of events) this.#report(event, event === "started" ? contextTime : end);
    const isOver = this.#buffer.state === "stopped" || this.#buffer.state === "ended";
    if (isOver || contextTime < this.#nextProgress) return;
    this.#nextProgress = contextTime + PROGRESS_SECONDS;
    this.#report("progress", end);
  }

  #report(event: FromWorklet["event"], contextTime: number): void {
    const { played, buffered, underruns, waits, isWaiting, state, isPaused } = this.#buffer;
    const isMoving = state === "playing" && !isPaused;
    this.#post({ id: this.#id, event, played, buffered, underruns, waits, isWaiting, isMoving, contextTime });
  }
}
