import { expect, test } from "vitest";
import { PlaybackBuffer } from "../../src/shared/audio/player/playbackBuffer";
import { RingBuffer } from "../../src/shared/audio/player/ringBuffer";

const ramp = (from: number, count: number) => Float32Array.from({ length: count }, (_, at) => from + at);

test("a ring returns what was written, in order, around its end", () => {
  const ring = new RingBuffer(5);
  const read: number[] = [];
  for (let written = 1; written < 40; written += 3) {
    expect(ring.write(ramp(written, 3))).toBe(3);
    const block = new Float32Array(3);
    expect(ring.read(block)).toBe(3);
    read.push(...block);
  }
  expect(read).toEqual([...ramp(1, 39)]);
});

test("a full ring takes what fits, and an empty one fills up with silence", () => {
  const ring = new RingBuffer(4);
  expect(ring.write(ramp(1, 6))).toBe(4);
  const block = new Float32Array(6).fill(9);
  expect(ring.read(block)).toBe(4);
  expect([...block]).toEqual([1, 2, 3, 4, 0, 0]);
});

function fill(buffer: PlaybackBuffer, size = 4): { block: number[]; events: readonly string[] } {
  const block = new Float32Array(size).fill(9);
  const events = buffer.fill(block);
  return { block: [...block], events };
}

test("playback starts once enough waits, and says so in the block of the first sample", () => {
  const buffer = new PlaybackBuffer(100);
  buffer.start(6, [8]);
  buffer.write(ramp(1, 5));
  expect(fill(buffer)).toEqual({ block: [0, 0, 0, 0], events: [] });
  buffer.write(ramp(6, 3));
  expect(fill(buffer)).toEqual({ block: [1, 2, 3, 4], events: ["started"] });
  expect(fill(buffer)).toEqual({ block: [5, 6, 7, 8], events: [] });
  expect(buffer.played).toBe(8);
});

test("an underrun is counted once, loses no sample and waits longer each time", () => {
  const buffer = new PlaybackBuffer(100);
  buffer.start(4, [4, 8]);
  buffer.write(ramp(1, 6));
  fill(buffer);
  expect(fill(buffer)).toEqual({ block: [5, 6, 0, 0], events: ["underrun"] });
  expect(fill(buffer).events).toEqual([]);
  buffer.write(ramp(7, 4));
  expect(fill(buffer)).toEqual({ block: [7, 8, 9, 10], events: [] });
  expect(fill(buffer).events).toEqual(["underrun"]);
  buffer.write(ramp(11, 7));
  expect(fill(buffer).block, "the second underrun waits for 8").toEqual([0, 0, 0, 0]);
  buffer.write(ramp(18, 1));
  expect(fill(buffer).block).toEqual([11, 12, 13, 14]);
  expect(buffer.underruns).toBe(2);
});

test("a short clip starts when it is complete, and its end is no underrun", () => {
  const buffer = new PlaybackBuffer(100);
  buffer.start(50, [50]);
  buffer.write(ramp(1, 5));
  expect(fill(buffer).events).toEqual([]);
  buffer.finish();
  expect(fill(buffer).events).toEqual(["started"]);
  expect(fill(buffer)).toEqual({ block: [5, 0, 0, 0], events: ["ended"] });
  expect(buffer.underruns).toBe(0);
});

test("a stop fades out within one block, and nothing is played after it", () => {
  const buffer = new PlaybackBuffer(100);
  buffer.start(1, [1]);
  buffer.write(new Float32Array(20).fill(1));
  fill(buffer);
  buffer.stop();
  expect(fill(buffer).block).toEqual([1, 0.75, 0.5, 0.25]);
  expect(fill(buffer).block).toEqual([0, 0, 0, 0]);
  expect(buffer.state).toBe("stopped");
});

test("a pause keeps the place", () => {
  const buffer = new PlaybackBuffer(100);
  buffer.start(1, [1]);
  buffer.write(ramp(1, 20));
  fill(buffer);
  buffer.pause(true);
  expect(fill(buffer).block).toEqual([0, 0, 0, 0]);
  buffer.pause(false);
  expect(fill(buffer).block).toEqual([5, 6, 7, 8]);
});

/** A buffer whose six samples have been played. */
function played(): PlaybackBuffer {
  const buffer = new PlaybackBuffer(100);
  buffer.start(4, [8]);
  buffer.write(ramp(1, 6));
  fill(buffer);
  return buffer;
}

test("a silence between two parts is a wait and no underrun, and ends as playback starts", () => {
  const buffer = played();
  buffer.between();
  expect(fill(buffer)).toEqual({ block: [5, 6, 0, 0], events: ["wait"] });
  expect(fill(buffer).events).toEqual([]);
  expect([buffer.underruns, buffer.waits, buffer.isWaiting]).toEqual([0, 1, true]);
  buffer.write(ramp(7, 7));
  expect(fill(buffer).block, "as much as after an underrun").toEqual([0, 0, 0, 0]);
  buffer.write(ramp(14, 1));
  expect(fill(buffer)).toEqual({ block: [7, 8, 9, 10], events: [] });
  expect(buffer.isWaiting).toBe(false);
  fill(buffer);
  expect(fill(buffer).events, "audio of this part is due").toEqual(["underrun"]);
});

test("a next part in time is no silence", () => {
  const buffer = played();
  buffer.between();
  buffer.write(ramp(7, 2));
  expect(fill(buffer)).toEqual({ block: [5, 6, 7, 8], events: [] });
  expect([buffer.underruns, buffer.waits]).toEqual([0, 0]);
});

test("what is left of a part is played, also where an underrun waits for more", () => {
  const buffer = played();
  expect(fill(buffer).events).toEqual(["underrun"]);
  buffer.write(ramp(7, 3));
  buffer.between();
  expect(fill(buffer)).toEqual({ block: [7, 8, 9, 0], events: ["wait"] });
  expect([buffer.underruns, buffer.waits]).toEqual([1, 1]);
});

test("an empty ring was no underrun where its sender says afterwards that nothing was due", () => {
  const between = played();
  expect(fill(between).events).toEqual(["underrun"]);
  between.between();
  expect([between.underruns, between.waits, between.isWaiting]).toEqual([0, 1, true]);
  const ending = played();
  expect(fill(ending).events).toEqual(["underrun"]);
  ending.finish();
  expect(fill(ending).events).toEqual(["ended"]);
  expect([ending.underruns, ending.waits]).toEqual([0, 0]);
});
