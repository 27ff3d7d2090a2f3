import { expect, test } from "vitest";
import { withBlobs, withBytes } from "../src/speak/storage/blobBytes";

const ENTRY = {
  id: "1",
  bytes: 3,
  speech: {
    audio: new Blob(["abc"], { type: "audio/wav" }),
    peaks: new Float32Array([0.5]),
    sentences: [{ index: 0 }],
  },
};

test("an entry without Blobs comes back with them", async () => {
  const stored = structuredClone(await withBytes(ENTRY)) as typeof ENTRY;
  expect(JSON.stringify(stored), "no Blob is left").toContain('"blobType":"audio/wav"');
  const restored = withBlobs(stored) as typeof ENTRY;
  expect(restored.speech.audio.type).toBe("audio/wav");
  expect(await restored.speech.audio.text()).toBe("abc");
  expect(restored).toMatchObject({ id: "1", bytes: 3, speech: { sentences: [{ index: 0 }] } });
  expect([...restored.speech.peaks]).toEqual([0.5]);
});

test("an entry that was stored with its Blobs is left as it is", async () => {
  expect(await (withBlobs(ENTRY) as typeof ENTRY).speech.audio.text()).toBe("abc");
});
