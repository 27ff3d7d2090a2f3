// The waveform of the current speech, drawn while it arrives, and a slider over it. The same samples are played, so what
// is drawn is what is audible.
import { useComputedColorScheme } from "@mantine/core";
import { useReducedMotion } from "@mantine/hooks";
import { type KeyboardEvent, type MouseEvent, useCallback, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { clock } from "../../clock";
import type { SpeechEngine } from "../engine/speechEngine";
import { isActive } from "../engine/speechState";
import { useSpeak } from "../useSpeak";
import classes from "./Waveform.module.css";
import { drawWave } from "./waveDrawing";

const STEP_SECONDS = 2;
const PAGE_SECONDS = 30;
const REDUCED_MOTION_MILLISECONDS = 250; // between drawings

export function Waveform() {
  const { t } = useTranslation("speak");
  const { state, engine } = useSpeak();
  const canvas = useRef<HTMLCanvasElement>(null);
  const slider = useRef<HTMLDivElement>(null);
  useDrawing(canvas, slider, engine);
  const duration = engine.durationSeconds;
  const seekTo = (event: MouseEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    engine.seek(((event.clientX - box.left) / box.width) * shownSeconds(engine));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const target = keyTarget(event.key, engine);
    if (target === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    engine.seek(target);
  };
  const isEmpty = duration === 0;
  return (
    <div
      ref={slider}
      className={classes.slider}
      role="slider"
      tabIndex={isEmpty ? -1 : 0}
      aria-label={t("player.position")}
      aria-disabled={isEmpty}
      aria-valuemin={0}
      aria-valuemax={Math.ceil(duration)}
      aria-valuenow={0}
      data-phase={state.phase}
      onClick={isEmpty ? undefined : seekTo} // no click where a finger scrolls the page
      onKeyDown={onKeyDown}
    >
      <canvas ref={canvas} className={classes.canvas} />
    </div>
  );
}

function keyTarget(key: string, engine: SpeechEngine): number | null {
  const at = engine.positionSeconds;
  const targets: Record<string, number> = {
    ArrowRight: at + STEP_SECONDS,
    ArrowUp: at + STEP_SECONDS,
    ArrowLeft: at - STEP_SECONDS,
    ArrowDown: at - STEP_SECONDS,
    PageUp: at + PAGE_SECONDS,
    PageDown: at - PAGE_SECONDS,
    Home: 0,
    End: engine.durationSeconds,
  };
  return targets[key] ?? null;
}

/** The seconds that the canvas is wide: of a speech that arrives, those that are expected. */
function shownSeconds(engine: SpeechEngine): number {
  const state = engine.state();
  if (!state.isArriving) return engine.durationSeconds;
  return Math.max(engine.durationSeconds, engine.expectedSeconds);
}

/** Draw at each frame while something moves, and once after each change. */
function useDrawing(
  canvas: { current: HTMLCanvasElement | null },
  slider: { current: HTMLDivElement | null },
  engine: SpeechEngine,
): void {
  const scheme = useComputedColorScheme("light");
  const isReduced = useReducedMotion();
  const draw = useCallback(() => {
    if (!canvas.current) return;
    drawWave(canvas.current, {
      peaks: engine.peaks?.values() ?? new Float32Array(0),
      arrivedSeconds: engine.durationSeconds,
      shownSeconds: shownSeconds(engine),
      positionSeconds: engine.positionSeconds,
      marks: engine.state().sentences.map((sentence) => sentence.atSeconds),
    });
    const at = engine.positionSeconds;
    slider.current?.setAttribute("aria-valuenow", String(Math.round(at)));
    slider.current?.setAttribute("aria-valuetext", `${clock(at)} / ${clock(engine.durationSeconds)}`);
  }, [canvas, slider, engine]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colors of the canvas change with the scheme
  useEffect(() => {
    let [frame, drawnAt] = [0, 0];
    const loop = (now: number) => {
      if (!isReduced || now - drawnAt >= REDUCED_MOTION_MILLISECONDS) {
        drawnAt = now;
        draw();
      }
      frame = isActive(engine.state()) || engine.state().isArriving ? requestAnimationFrame(loop) : 0;
    };
    const start = () => {
      if (frame === 0) frame = requestAnimationFrame(loop);
    };
    start();
    const unwatch = engine.watch(start);
    const observer = new ResizeObserver(draw);
    if (canvas.current) observer.observe(canvas.current);
    return () => {
      cancelAnimationFrame(frame);
      unwatch();
      observer.disconnect();
    };
  }, [engine, draw, isReduced, scheme]);
}
