// The page's one copy of the settings; every control reads and changes it here. It begins as the link in the address
// says, else as it was left in this browser.
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { readStored, writeStored } from "../../shared/browserStore";
import type { Problem } from "./fields";
import { DEFAULT_SETTINGS, type SpeechSettings } from "./settings";
import { type LinkedSettings, readFragment, writeFragment } from "./shareLink";

type Change = (part: Partial<SpeechSettings>) => void;
type Value = {
  readonly settings: SpeechSettings;
  readonly change: Change;
  readonly linkProblems: readonly Problem[]; // of the link that was opened last
  readonly dismissLinkProblems: () => void;
};
type State = { readonly settings: SpeechSettings; readonly linkProblems: readonly Problem[] };

const STORED = "voxfleet.settings";
const Context = createContext<Value | null>(null);

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

export function SettingsProvider({ initial, children }: { initial?: Partial<SpeechSettings>; children: ReactNode }) {
  const [state, setState] = useState(() => initialState(initial));
  const change = useCallback<Change>(
    (part) => setState((before) => ({ ...before, settings: { ...before.settings, ...part } })),
    [],
  );
  const dismissLinkProblems = useCallback(() => setState((before) => ({ ...before, linkProblems: [] })), []);
  useOpenedLinks(useCallback((linked) => setState(fromLink(linked)), []));
  useEffect(() => {
    writeStored("localStorage", STORED, writeFragment(state.settings));
  }, [state.settings]);
  const value = useMemo(() => ({ ...state, change, dismissLinkProblems }), [state, change, dismissLinkProblems]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useSettings(): Value {
  const value = useContext(Context);
  if (!value) throw new Error("useSettings is used outside of SettingsProvider");
  return value;
}
