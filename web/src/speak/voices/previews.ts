// A short sample of each voice, spoken once and then kept in this browser.
import { request } from "../../shared/http";
import { read, writeWithin } from "../storage/database";
import type { Sized } from "../storage/retention";

type Preview = Sized & { readonly clip: Blob };
export type Sample = {
  readonly voice: string;
  readonly version: number; // of the voice: an id may be given a new recording
  readonly model: string;
  readonly text: string;
  readonly seed: number;
};

const LIMITS = { entries: 200, bytes: 20 * 2 ** 20 };

/** Speak a sample; the whole file, as it is kept. */
export async function speakSample(sample: Sample, signal: AbortSignal): Promise<Blob> {
  const { voice, model, text: input, seed } = sample;
  const response = await request("/v1/audio/speech", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, voice, input, seed, response_format: "mp3" }),
    signal,
  });
  return response.blob();
}

/** The sample from this browser, else from the server. Where nothing can be kept (private windows), each time anew. */
export async function preview(sample: Sample, signal: AbortSignal): Promise<Blob> {
  const id = JSON.stringify(sample);
  const known = await read<Preview>("previews", id).catch(() => undefined);
  if (known) return known.clip;
  const clip = await speakSample(sample, signal);
  const kept: Preview = { id, clip, bytes: clip.size, storedAt: Date.now() };
  await writeWithin("previews", kept, LIMITS).catch(() => undefined);
  return clip;
}

/** The language of a sample: the page's if the model speaks it, else one that the model names, else English. */
export function sampleLanguage(
  page: string,
  spoken: readonly string[] | undefined,
  offered: readonly string[],
): string {
  if (!spoken || spoken.length === 0) return page;
  const bases = spoken.map((language) => language.split("-")[0] as string);
  if (bases.includes(page)) return page;
  return bases.find((language) => offered.includes(language)) ?? "en";
}
