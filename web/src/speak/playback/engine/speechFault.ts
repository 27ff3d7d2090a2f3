// What went wrong with a speech, from the error that was raised. Pure.
import { ApiError } from "../../../shared/http";
import { BrokenOffError } from "./speechRequest";
import type { SpeechFault } from "./speechState";

/** A fault of this browser: it has no audio output, has not started it, or could not hold so long a speech. */
export function browserFault(kind: "noSound" | "silent" | "tooLong", message = ""): SpeechFault {
  return { kind, message, field: null, retryAt: null };
}

export function faultOf(error: unknown, hasAudio: boolean, now: number): SpeechFault {
  if (error instanceof ApiError) {
    const retryAt = error.retryAfterSeconds === null ? null : now + 1000 * error.retryAfterSeconds;
    return { kind: hasAudio ? "rest" : "response", message: error.message, field: error.field, retryAt };
  }
  const message = error instanceof Error ? error.message : String(error);
  const kind = hasAudio || error instanceof BrokenOffError ? "brokenOff" : "noConnection";
  return { kind, message, field: null, retryAt: null };
}
