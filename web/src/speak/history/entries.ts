// Finished speeches as they are kept in the browser, newest first, within a number and a sum of bytes. Knows the
// database; does not know React. The audio is kept as it was played, so replaying needs no server.
import type { FinishedSpeech } from "../playback/finishedSpeech";
import { type Format, type SpeechSettings, speechBody } from "../settings/settings";
import { readAll, remove, writeWithin } from "../storage/database";
import { idsToDelete, type Sized } from "../storage/retention";

export type HistoryEntry = Sized & { readonly speech: FinishedSpeech };

export const HISTORY_LIMITS = { entries: 50, bytes: 400 * 2 ** 20 }; // 145 minutes of 24 kHz: the longest text and some more

const MEDIA_EXTENSIONS: Partial<Record<Format, string>> = { opus: "ogg" };

export function newEntry(speech: FinishedSpeech, id: string): HistoryEntry {
  return { id, speech, bytes: speech.audio.size + speech.peaks.byteLength, storedAt: speech.startedAt };
}

/** The entries that stay when `entry` is added, newest first. */
export function withEntry(entries: readonly HistoryEntry[], entry: HistoryEntry): HistoryEntry[] {
  const all = [entry, ...entries.filter(({ id }) => id !== entry.id)];
  const dropped = idsToDelete(all, HISTORY_LIMITS);
  const kept = all.filter(({ id }) => !dropped.includes(id));
  return kept.sort((one, other) => other.storedAt - one.storedAt);
}

export async function readEntries(): Promise<HistoryEntry[]> {
  const entries = await readAll<HistoryEntry>("speeches");
  return entries.sort((one, other) => other.storedAt - one.storedAt);
}

export const storeEntry = (entry: HistoryEntry) => writeWithin("speeches", entry, HISTORY_LIMITS);
export const deleteEntries = (ids: readonly string[]) => remove("speeches", ids);

/** The settings that make this speech again: its own seed, also where the server drew it. */
export function settingsOf(speech: FinishedSpeech): SpeechSettings {
  return { ...speech.settings, seed: speech.seed };
}

/** The request that makes a speech again in another format; streamed as it was, since that is part of the request. */
export function downloadBody(speech: FinishedSpeech, format: Format): Record<string, unknown> {
  return { ...speechBody(settingsOf(speech)), response_format: format };
}

/** A name of letters of the text, for the file that is saved. */
export function downloadName(speech: FinishedSpeech, format: Format): string {
  const words = speech.settings.text.match(/[\p{L}\p{N}]+/gu) ?? [];
  const start = words.slice(0, 6).join("-").slice(0, 40).replace(/-+$/, "") || "speech";
  return `${start}-${speech.seed}.${MEDIA_EXTENSIONS[format] ?? format}`;
}
