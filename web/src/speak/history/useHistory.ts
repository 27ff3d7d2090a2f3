// The history as React state: read once, then kept in step with the browser's database.
import { useCallback, useEffect, useRef, useState } from "react";
import type { FinishedSpeech } from "../playback/finishedSpeech";
import { useOnFinished } from "../playback/SpeechEventsContext";
import { deleteEntries, type HistoryEntry, newEntry, readEntries, storeEntry, withEntry } from "./entries";

type History = {
  readonly entries: readonly HistoryEntry[];
  readonly isKept: boolean; // false: the browser keeps nothing (private window, full disk); it ends with the page
  readonly remove: (ids: readonly string[]) => void;
};

export function useHistory(): History {
  const [entries, setEntries] = useState<readonly HistoryEntry[]>([]);
  const [isKept, setIsKept] = useState(true);
  const current = useRef(entries);
  const show = useCallback((next: readonly HistoryEntry[]) => {
    current.current = next;
    setEntries(next);
  }, []);
  const unkept = useCallback(() => setIsKept(false), []);

  useEffect(() => {
    readEntries().then((stored) => {
      const unstored = current.current.filter(({ id }) => stored.every((entry) => entry.id !== id));
      show([...unstored, ...stored]);
    }, unkept);
  }, [show, unkept]);

  const add = useCallback(
    (speech: FinishedSpeech) => {
      const entry = newEntry(speech, crypto.getRandomValues(new Uint32Array(4)).join("-"));
      show(withEntry(current.current, entry));
      storeEntry(entry).catch(unkept);
    },
    [show, unkept],
  );
  useOnFinished(add);

  const remove = useCallback(
    (ids: readonly string[]) => {
      show(current.current.filter(({ id }) => !ids.includes(id)));
      deleteEntries(ids).catch(unkept);
    },
    [show, unkept],
  );
  return { entries, isKept, remove };
}
