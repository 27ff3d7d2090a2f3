// A button that plays a clip and stops it again; while the clip loads it says so.
import { ActionIcon, Loader } from "@mantine/core";
import { PlayIcon, StopIcon } from "./icons";
import type { Clips } from "./useClips";

type Props = {
  clips: Clips;
  clipKey: string;
  load: (signal: AbortSignal) => Promise<Blob>;
  playLabel: string;
  stopLabel: string;
  disabled?: boolean;
};

export function ClipButton({ clips, clipKey, load, playLabel, stopLabel, disabled = false }: Props) {
  const phase = clips.state.key === clipKey ? clips.state.phase : "idle";
  return (
    <ActionIcon
      variant={phase === "playing" ? "filled" : "default"}
      radius="xl"
      disabled={disabled}
      aria-label={phase === "idle" ? playLabel : stopLabel}
      aria-busy={phase === "loading"}
      onClick={() => clips.toggle(clipKey, load)}
    >
      {phase === "loading" ? <Loader size={14} /> : phase === "playing" ? <StopIcon /> : <PlayIcon />}
    </ActionIcon>
  );
}
