// A text for what takes the longer the longer it is: of a long one, what it was when typing paused.
import { useEffect, useState } from "react";

const SHORT = 4096; // UTF-16 units: work over so few is done at once
const PAUSE_MILLISECONDS = 250; // longer than between two keys

export function useSettled(text: string): string {
  const [settled, settle] = useState(text);
  const isShort = text.length <= SHORT;
  useEffect(() => {
    if (isShort) return;
    const timer = setTimeout(() => settle(text), PAUSE_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [text, isShort]);
  return isShort ? text : settled;
}
