// The page's one player of clips. A clip stops the page's speech, and the other way round.
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { useSpeechActions, useSpeechPhase } from "../playback/useSpeak";
import { ClipPlayer, type ClipState } from "./clipPlayer";

const player = new ClipPlayer();

export type Clips = {
  readonly state: ClipState;
  /** Play a clip, or stop it where it plays already. */
  readonly toggle: (key: string, load: (signal: AbortSignal) => Promise<Blob>) => void;
};

export function useClips(): Clips {
  const state = useSyncExternalStore(player.subscribe, player.state);
  const { stop } = useSpeechActions();
  const toggle = useCallback<Clips["toggle"]>(
    (key, load) => {
      const current = player.state();
      if (current.key === key && current.phase !== "idle") {
        player.stop();
        return;
      }
      stop();
      void player.play(key, load);
    },
    [stop],
  );
  return { state, toggle };
}

/** Stop the clip when the page begins to speak. */
export function useSpeechStopsClips(): void {
  const phase = useSpeechPhase();
  const isSpeaking = phase === "waiting" || phase === "playing";
  useEffect(() => {
    if (isSpeaking) player.stop();
  }, [isSpeaking]);
}
