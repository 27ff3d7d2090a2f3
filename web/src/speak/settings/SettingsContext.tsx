// The page's one copy of the settings; every control reads and changes it here. It begins as the link in the address
// says, else as it was left in this browser. The text is apart from the rest: a key that is typed renders what shows the
// text, and nothing else.
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { readStored, writeStored } from "../../shared/browserStore";
import { useSettled } from "../../shared/useSettled";
import type { Problem } from "./fields";
import { DEFAULT_SETTINGS, type SettingsWithoutText, type SpeechSettings } from "./settings";
import { type LinkedSettings, readFragment, writeFragment } from "./shareLink";

type Change = (part: Partial<SpeechSettings>) => void;
type Value = {
  readonly settings: SettingsWithoutText;
  readonly change: Change;
  /** All settings of now, for what happens at a click. */
  readonly current: () => SpeechSettings;
  readonly linkProblems: readonly Problem[]; // of the link that was opened last
  readonly dismissLinkProblems: () => void;
};
type State = { readonly settings: SpeechSettings; readonly linkProblems: readonly Problem[] };

const STORED = "voxfleet.settings";
const Context = createContext<Value | null>(null);
const TextContext = createContext("");

function fromLink(linked: LinkedSettings): State {
  return { settings: { ...DEFAULT_SETTINGS, ...linked.settings }, linkProblems: linked.problems };
}

function initialState(initial: Partial<SpeechSettings> | undefined): State {
  const linked = readFragment(window.location.hash);
  if (linked) return fromLink(linked);
  const stored = readFragment(readStored("localStorage", STORED) ?? "");
  return { settings: { ...DEFAULT_SETTINGS, ...stored?.settings, ...initial }, linkProblems: [] };
}

/** Take the link out of the address: a reload then keeps what was changed since. */
function clearFragment(): void {
  if (readFragment(window.location.hash)) window.history.replaceState(null, "", window.location.pathname);
}

function useOpenedLinks(open: (linked: LinkedSettings) => void): void {
  useEffect(() => {
    clearFragment();
    const opened = () => {
      const linked = readFragment(window.location.hash);
      if (linked) open(linked);
      clearFragment();
    };
    window.addEventListener("hashchange", opened);
    return () => window.removeEventListener("hashchange", opened);
  }, [open]);
}

/** Keep the settings in this browser: a long text once typing pauses or the page is left. */
function useKept(settings: SpeechSettings): void {
  const text = useSettled(settings.text);
  const latest = useRef(settings);
  latest.current = settings;
  const rest = useWithoutText(settings);
  useEffect(() => keep({ ...rest, text }), [rest, text]);
  useEffect(() => {
    const leave = () => keep(latest.current);
    window.addEventListener("pagehide", leave);
    return () => window.removeEventListener("pagehide", leave);
  }, []);
}

function keep(settings: SpeechSettings): void {
  writeStored("localStorage", STORED, writeFragment(settings));
}

/** The settings without the text: the same value until one of them changes. */
function useWithoutText({ text: _, ...rest }: SpeechSettings): SettingsWithoutText {
  const before = useRef<SettingsWithoutText>(rest);
  const names = Object.keys(rest) as (keyof SettingsWithoutText)[];
  if (names.some((name) => rest[name] !== before.current[name])) before.current = rest;
  return before.current;
}

export function SettingsProvider({ initial, children }: { initial?: Partial<SpeechSettings>; children: ReactNode }) {
  const [{ settings: all, linkProblems }, setState] = useState(() => initialState(initial));
  const change = useCallback<Change>(
    (part) => setState((before) => ({ ...before, settings: { ...before.settings, ...part } })),
    [],
  );
  const dismissLinkProblems = useCallback(() => setState((before) => ({ ...before, linkProblems: [] })), []);
  useOpenedLinks(useCallback((linked) => setState(fromLink(linked)), []));
  useKept(all);
  const latest = useRef(all);
  latest.current = all;
  const current = useCallback(() => latest.current, []);
  const settings = useWithoutText(all);
  const value = useMemo(
    () => ({ settings, change, current, linkProblems, dismissLinkProblems }),
    [settings, change, current, linkProblems, dismissLinkProblems],
  );
  return (
    <Context.Provider value={value}>
      <TextContext.Provider value={all.text}>{children}</TextContext.Provider>
    </Context.Provider>
  );
}

export function useSettings(): Value {
  const value = useContext(Context);
  if (!value) throw new Error("useSettings is used outside of SettingsProvider");
  return value;
}

/** The text as it is typed. What uses it is rendered with each key, and does nothing then that takes a long text longer. */
export function useText(): string {
  return useContext(TextContext);
}
