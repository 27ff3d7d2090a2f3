// Finished speeches, published to subscribers: `useOnFinished(save)` in the history panel.
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import type { FinishedSpeech } from "./finishedSpeech";

type Subscriber = (speech: FinishedSpeech) => void;

/** A set of subscribers; a speech is published once, to those that are subscribed then. */
export class SpeechEvents {
  readonly #subscribers = new Set<Subscriber>();

  publish(speech: FinishedSpeech): void {
    for (const subscriber of this.#subscribers) subscriber(speech);
  }

  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }
}

const SpeechEventsContext = createContext<SpeechEvents | null>(null);

export function SpeechEventsProvider({ children }: { children: ReactNode }) {
  const [events] = useState(() => new SpeechEvents());
  return <SpeechEventsContext.Provider value={events}>{children}</SpeechEventsContext.Provider>;
}

export function useSpeechEvents(): SpeechEvents {
  const events = useContext(SpeechEventsContext);
  if (!events) throw new Error("useSpeechEvents is used outside of SpeechEventsProvider");
  return events;
}

/** Call `subscriber` with each speech that has ended, also one that was stopped. */
export function useOnFinished(subscriber: Subscriber): void {
  const events = useSpeechEvents();
  useEffect(() => events.subscribe(subscriber), [events, subscriber]);
}
