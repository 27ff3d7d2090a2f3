// Draws peaks as bars on a canvas, in the colors that its style names.
import { resizedPeaks } from "../../../shared/audio/peaks";

const BAR_WIDTH = 3;
const BAR_GAP = 1;
const LEAST_HEIGHT = 2;
const BARS_PER_MARK = 6; // where sentences are closer, lines at their starts would hide the wave

export type Wave = {
  readonly peaks: Float32Array; // of the audio that has arrived
  readonly arrivedSeconds: number;
  readonly shownSeconds: number; // of the whole width
  readonly positionSeconds: number;
  readonly marks: readonly number[]; // seconds at which sentences start
};

export function drawWave(canvas: HTMLCanvasElement, wave: Wave): void {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  drawBars(context, wave, width, height);
}

function drawBars(context: CanvasRenderingContext2D, wave: Wave, width: number, height: number): void {
  const style = getComputedStyle(context.canvas);
  const { color: played, outlineColor: ahead, textDecorationColor: empty } = style;
  const total = Math.floor(width / (BAR_WIDTH + BAR_GAP));
  const shown = wave.shownSeconds || 1;
  const arrived = Math.min(total, Math.round((wave.arrivedSeconds / shown) * total));
  const bars = resizedPeaks(wave.peaks, arrived);
  const marks = wave.marks.length * BARS_PER_MARK <= total ? wave.marks.slice(1) : [];
  const startBars = new Set(marks.map((seconds) => Math.round((seconds / shown) * total)));
  for (let bar = 0; bar < total; bar++) {
    const x = bar * (BAR_WIDTH + BAR_GAP);
    const isPlayed = (bar + 0.5) / total <= wave.positionSeconds / shown;
    const peak = bar < arrived ? (bars[bar] as number) : 0;
    const tall = Math.max(LEAST_HEIGHT, peak ** 0.7 * (height - 6)); // quiet speech is visible, too
    context.fillStyle = bar >= arrived ? empty : isPlayed ? played : ahead;
    context.fillRect(x, (height - tall) / 2, BAR_WIDTH, tall);
    if (startBars.has(bar)) {
      // A line from top to bottom where a sentence starts.
      context.fillStyle = ahead;
      context.fillRect(x - 1, 0, 1, height);
    }
  }
}
