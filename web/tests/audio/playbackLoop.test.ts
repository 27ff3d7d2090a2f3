import { expect, test } from "vitest";
import { PlaybackLoop } from "../../src/shared/audio/player/playbackLoop";
import type { FromWorklet } from "../../src/shared/audio/player/playerMessages";

const RATE = 1000;
const BLOCK = 100;

function loop(): { loop: PlaybackLoop; sent: FromWorklet[]; block: (at: number) => number[] } {
  const sent: FromWorklet[] = [];
  const made = new PlaybackLoop(RATE, (message) => sent.push(message));
  const block = (at: number) => {
    const samples = new Float32Array(BLOCK);
    made.process(samples, at);
    return [...samples];
  };
  return { loop: made, sent, block };
}

test("messages of an earlier playback change nothing", () => {
  const { loop: playing, block } = loop();
  playing.take({ type: "start", id: 1, needed: 1, resume: [1] });
  playing.take({ type: "start", id: 2, needed: 1, resume: [1] });
  playing.take({ type: "samples", id: 1, samples: new Float32Array(BLOCK).fill(0.5) });
  expect(block(0).every((sample) => sample === 0)).toBe(true);
  playing.take({ type: "samples", id: 2, samples: new Float32Array(BLOCK).fill(0.25) });
  playing.take({ type: "stop", id: 1 });
  expect(block(0.1).every((sample) => sample === 0.25)).toBe(true);
});

test("a start is reported with the time of its first sample, the end with all that was played", () => {
  const { loop: playing, sent, block } = loop();
  playing.take({ type: "start", id: 7, needed: 50, resume: [50] });
  playing.take({ type: "samples", id: 7, samples: new Float32Array(150).fill(0.5) });
  playing.take({ type: "finish", id: 7 });
  block(3);
  block(3.1);
  expect(sent.find((each) => each.event === "started")).toMatchObject({ id: 7, contextTime: 3, isMoving: true });
  expect(sent.at(-1)).toMatchObject({ event: "ended", played: 150, underruns: 0, isMoving: false });
  const before = sent.length;
  block(3.2);
  expect(sent.length, "nothing is reported after the end").toBe(before);
});

test("a pause keeps what is left", () => {
  const { loop: playing, sent, block } = loop();
  playing.take({ type: "start", id: 1, needed: 1, resume: [1] });
  playing.take({ type: "samples", id: 1, samples: new Float32Array(300).fill(0.5) });
  block(0);
  playing.take({ type: "pause", id: 1, isPaused: true });
  block(0.1);
  expect(sent.at(-1)).toMatchObject({ event: "progress", played: 100, buffered: 200, isMoving: false });
});
