// One engine for the page: whatever speaks or plays asks it, so that one thing at a time is audible.
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { MODELS, modelName } from "../../api/catalog";
import { requestCharacters } from "../../shared/served";
import { useRealTime } from "../settings/RealTimeSetting";
import { useSettings } from "../settings/SettingsContext";
import type { SpeechSettings } from "../settings/settings";
import { SpeechEngine } from "./engine/speechEngine";
import type { SpeechPhase, SpeechState } from "./engine/speechState";
import { useSpeechEvents } from "./SpeechEventsContext";

export type { SpeechPhase } from "./engine/speechState";

export type SpeechActions = {
  /** Stop what is spoken and speak these settings, by default the page's. Call it in the handler of a click. */
  readonly speak: (settings?: SpeechSettings) => void;
  readonly stop: () => void;
  readonly engine: SpeechEngine;
};

const ActionsContext = createContext<SpeechActions | null>(null);

export function SpeakProvider({ children }: { children: ReactNode }) {
  const [engine] = useState(() => new SpeechEngine());
  const events = useSpeechEvents();
  const { current } = useSettings();
  const queries = useQueryClient();
  useEffect(() => {
    engine.firstModel = () => {
      const models = queries.getQueryData(MODELS.queryKey);
      if (models) return modelName(null, models);
      return queries.ensureQueryData(MODELS).then((loaded) => modelName(null, loaded));
    };
    engine.requestCharacters = requestCharacters();
    engine.onFinished = (speech) => events.publish(speech);
    return () => engine.stop();
  }, [engine, events, queries]);
  const [isRealTime] = useRealTime();
  useEffect(() => engine.setLive(isRealTime), [engine, isRealTime]);
  usePreparedOutput(engine);
  useEffect(() => {
    addEventListener("pagehide", engine.disconnect);
    return () => removeEventListener("pagehide", engine.disconnect);
  }, [engine]);
  const actions = useMemo<SpeechActions>(
    () => ({ speak: (given = current()) => engine.speak(given), stop: engine.stop, engine }),
    [engine, current],
  );
  return <ActionsContext.Provider value={actions}>{children}</ActionsContext.Provider>;
}

/** What the page can do; it never changes, so that a component which only acts is not rendered anew. */
export function useSpeechActions(): SpeechActions {
  const value = useContext(ActionsContext);
  if (!value) throw new Error("useSpeechActions is used outside of SpeakProvider");
  return value;
}

/** What the page speaks, and how far it is: changes often. */
export function useSpeak(): SpeechActions & { readonly state: SpeechState } {
  const actions = useSpeechActions();
  const state = useSyncExternalStore(actions.engine.watch, actions.engine.state);
  return { ...actions, state };
}

export function useSpeechPhase(): SpeechPhase {
  const { engine } = useSpeechActions();
  return useSyncExternalStore(engine.watch, () => engine.state().phase);
}

/** Make the audio output at the first touch of the page, so that the click which speaks finds it ready. */
function usePreparedOutput(engine: SpeechEngine): void {
  useEffect(() => {
    const prepare = () => engine.prepare();
    const once = { once: true, passive: true } as const;
    for (const name of ["pointermove", "pointerdown", "keydown"]) addEventListener(name, prepare, once);
    return () => {
      for (const name of ["pointermove", "pointerdown", "keydown"]) removeEventListener(name, prepare);
    };
  }, [engine]);
}
