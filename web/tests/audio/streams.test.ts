import { expect, test } from "vitest";
import { Clip } from "../../src/shared/audio/clip";
import { base64Bytes, PcmDecoder } from "../../src/shared/audio/pcm";
import { Peaks, resizedPeaks } from "../../src/shared/audio/peaks";
import { measuredPace, resumeSeconds, startSeconds } from "../../src/shared/audio/player/bufferPolicy";
import { StreamResampler } from "../../src/shared/audio/resampler";
import { ServerSentEventParser } from "../../src/shared/audio/serverSentEvents";

function cut<T extends { slice(from: number, to: number): T; length: number }>(whole: T, sizes: number[]): T[] {
  const pieces: T[] = [];
  for (let at = 0, turn = 0; at < whole.length; turn++) {
    const size = sizes[turn % sizes.length] as number;
    pieces.push(whole.slice(at, at + size));
    at += size;
  }
  return pieces;
}

test.each([[[1]], [[2]], [[3]], [[1, 4, 2]], [[7, 1]]])("samples survive cuts in their middle: %o", (sizes) => {
  const samples = Int16Array.from([1, -1, 32767, -32768, 258, -2]);
  const decoder = new PcmDecoder();
  const decoded = cut(new Uint8Array(samples.buffer), sizes).flatMap((piece) => [...decoder.decode(piece)]);
  expect(decoded).toEqual([...samples]);
});

test("base64 is the bytes that it encodes", () => {
  expect([...base64Bytes(btoa("\x00\xff\x80"))]).toEqual([0, 255, 128]);
});

test.each([[[1]], [[2, 3]], [[50]], [[1000]]])("events survive any cut of the text: %o", (sizes) => {
  const text =
    ': keep-alive\n\ndata: {"a": 1}\n\nevent: error\r\ndata: one\r\ndata: two\r\n\r\nid: 7\n\ndata:bare\n\ndata: cut';
  const parser = new ServerSentEventParser();
  expect(cut(text, sizes).flatMap((piece) => parser.feed(piece))).toEqual([
    { kind: "comment" },
    { kind: "event", name: "message", data: '{"a": 1}' },
    { kind: "event", name: "error", data: "one\ntwo" },
    { kind: "event", name: "message", data: "bare" },
  ]);
});

test("a clip returns the samples that were appended, also those that left memory, and is a WAV file", async () => {
  const clip = new Clip(24_000);
  const chunk = 3840;
  const chunks = 500; // 80 s: several parts
  for (let each = 0; each < chunks; each++) {
    clip.append(Int16Array.from({ length: chunk }, (_, at) => (each * chunk + at) % 30_011));
  }
  expect(clip.sampleCount).toBe(chunk * chunks);
  const read: number[] = [];
  while (read.length < clip.sampleCount) {
    const samples = await clip.read(read.length, 24_000);
    expect(samples.length).toBeGreaterThan(0);
    read.push(...samples);
  }
  expect(read.every((sample, at) => sample === at % 30_011)).toBe(true);
  expect(clip.read(clip.sampleCount - 10, 100)).toBeInstanceOf(Int16Array); // the newest audio is read at once
  const wav = new DataView(await clip.wav().arrayBuffer());
  expect(wav.byteLength).toBe(44 + 2 * clip.sampleCount);
  expect([wav.getUint32(24, true), wav.getUint32(40, true)]).toEqual([24_000, 2 * clip.sampleCount]);
  expect(wav.getInt16(44 + 2 * 1_000_000, true)).toBe(1_000_000 % 30_011);
});

test("peaks of any length fit the bins, and the loudest sample stays", () => {
  const peaks = new Peaks(64, 10);
  for (let at = 0; at < 5000; at++) peaks.append(Int16Array.of(at === 4321 ? -32768 : 1000));
  const values = peaks.values();
  expect(values.length).toBeLessThanOrEqual(64);
  expect(values.length * peaks.samplesPerBin).toBeGreaterThanOrEqual(5000);
  expect(values.indexOf(1)).toBe(Math.floor(4321 / peaks.samplesPerBin));
  expect([...resizedPeaks(values, 10)].indexOf(1)).toBe(8);
});

test.each([
  [24_000, 48_000],
  [24_000, 44_100],
  [24_000, 16_000],
])("a tone of %i Hz is the same tone at %i Hz, without a seam between chunks", (from, to) => {
  const tone = (rate: number, at: number) => Math.sin((2 * Math.PI * 440 * at) / rate);
  const resampler = new StreamResampler(from, to);
  const input = Float32Array.from({ length: from / 10 }, (_, at) => tone(from, at));
  const output = cut(input, [1, 700, 3, 2, 333]).flatMap((piece) => [...resampler.convert(piece)]);
  expect(Math.abs(output.length - to / 10)).toBeLessThanOrEqual(3 * Math.ceil(to / from) + 3);
  const delay = (2 * to) / from; // of the two samples of silence before the first
  const errors = output.slice(20).map((sample, at) => Math.abs(sample - tone(to, at + 20 - delay)));
  expect(Math.max(...errors)).toBeLessThan(0.01);
});

test("equal rates change nothing", () => {
  const samples = Float32Array.of(0.1, 0.2);
  expect(new StreamResampler(24_000, 24_000).convert(samples)).toBe(samples);
});

test("playback starts with the first patch of a fast server, and waits for more of a slow one", () => {
  expect(startSeconds(Number.POSITIVE_INFINITY, 0)).toBeLessThan(0.16);
  expect(startSeconds(0.8, 0)).toBeGreaterThan(startSeconds(1.1, 0));
  expect(startSeconds(9, 2)).toBeGreaterThan(startSeconds(9, 1));
  expect(startSeconds(0, 99)).toBeLessThanOrEqual(5);
  expect(resumeSeconds(2)).toBeGreaterThan(resumeSeconds(1));
  expect(resumeSeconds(20)).toBeLessThanOrEqual(5);
  expect(measuredPace(0, 10)).toBe(Number.POSITIVE_INFINITY);
  expect(measuredPace(5, 10)).toBe(0.5);
});
