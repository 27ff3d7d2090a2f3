// A request that is sent before its turn. Knows what the server's refusal means then; does not know when to send.
import type { SpeechPart } from "../speechRequest";

export class PartsAhead {
  readonly #send: () => AsyncGenerator<SpeechPart>;
  readonly #parts: AsyncGenerator<SpeechPart>;
  readonly #head: Promise<IteratorResult<SpeechPart> | null>;

  constructor(send: () => AsyncGenerator<SpeechPart>) {
    this.#send = send;
    this.#parts = send();
    this.#head = this.#parts.next().catch(() => null);
  }

  /** The parts, in its turn. Where it was refused, as with a limit of one request, it is sent anew: only now is it due. */
  async *inTurn(): AsyncGenerator<SpeechPart> {
    const head = await this.#head;
    if (head === null) yield* this.#send();
    if (!head || head.done) return;
    yield head.value;
    yield* this.#parts;
  }
}
