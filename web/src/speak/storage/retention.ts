// Which entries a bounded store keeps: the newest, within a number and a sum of bytes. Pure.
export type Sized = { readonly id: string; readonly bytes: number; readonly storedAt: number };
export type Limits = { readonly entries: number; readonly bytes: number };

/** The ids to delete; the newest entry stays even where it alone is too large, or nothing would be kept of it. */
export function idsToDelete(entries: readonly Sized[], limits: Limits): string[] {
  const newestFirst = [...entries].sort((one, other) => other.storedAt - one.storedAt);
  let bytes = 0;
  let isFull = false;
  return newestFirst.flatMap((entry, index) => {
    bytes += entry.bytes;
    isFull ||= index >= limits.entries || (bytes > limits.bytes && index > 0);
    return isFull ? [entry.id] : [];
  });
}
