// Sends a new voice: a recording with consent as a form, with progress, or a seed as JSON. Knows the API's field names.
import type { Voice } from "../../api/catalog";
import { bearer } from "../../shared/apiKey";
import { ApiError, apiError, requestJson } from "../../shared/http";

const VOICES = "/v1/audio/voices";
const EXTENSIONS: Readonly<Record<string, string>> = { "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" };

export type NewVoice = {
  readonly recording: Blob;
  readonly name: string;
  readonly transcript: string;
  readonly consent: string;
};

/** A recording of the microphone has no file name, and OpenAI's form sends one. */
export function fileName(recording: Blob): string {
  if (recording instanceof File) return recording.name;
  return `recording.${EXTENSIONS[recording.type.split(";")[0] ?? ""] ?? "webm"}`;
}

function form({ recording, name, transcript, consent }: NewVoice): FormData {
  const fields = new FormData();
  fields.set("name", name.trim());
  fields.set("transcript", transcript.trim());
  fields.set("consent", consent.trim());
  fields.set("audio_sample", recording, fileName(recording));
  return fields;
}

/** Upload a recorded voice; `onProgress` gets the part sent, 0 to 1. XMLHttpRequest, because fetch reports none. */
export function uploadVoice(voice: NewVoice, onProgress: (sent: number) => void): Promise<Voice> {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", VOICES);
    for (const [name, value] of Object.entries(bearer())) sending.setRequestHeader(name, value);
    sending.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    sending.onerror = () => reject(new ApiError("", 0, null, null));
    sending.onload = () => {
      if (sending.status === 200) resolve(JSON.parse(sending.responseText) as Voice);
      else apiError(asResponse(sending)).then(reject, reject);
    };
    sending.send(form(voice));
  });
}

function asResponse(sent: XMLHttpRequest): Response {
  const retryAfter = sent.getResponseHeader("Retry-After");
  const { status, statusText } = sent;
  return new Response(sent.responseText, {
    status,
    statusText,
    headers: retryAfter ? { "Retry-After": retryAfter } : {},
  });
}

/** Store the voice that a seed draws; `transcript` is what it says for its sample. */
export function keepDesignedVoice(voice: { name: string; seed: number; transcript: string; model: string | null }) {
  const { model, ...fields } = voice;
  return requestJson<Voice>(VOICES, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(model === null ? fields : { ...fields, model }),
  });
}
