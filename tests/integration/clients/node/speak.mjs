// Speaks with OpenAI's package for Node, as its users call it; prints what came of it as JSON.
// Run as `node speak.mjs URL REFUSING_URL SERVER_URL` in a folder with the package. It prints `ready` and waits for a line. Then it
// aborts a request that is held, speaks a sentence to its end, aborts a long text after its first audio, asks the
// second gateway, whose 503 it reports by the package's own error, and speaks at a server without a gateway.
import { once } from "node:events";
import OpenAI from "openai";

const [url, refusingUrl, serverUrl] = process.argv.slice(2);
const LONG = "This text is far too long for anyone to wait for its end. ".repeat(12);
const SENTENCE = "Hello from a region that was asleep a moment ago.";
const HELD_MILLISECONDS = 2000;

async function speak(base, input, { leavesAfter, isInterrupted = false } = {}) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "KEY" });
  const leaving = new AbortController();
  const began = performance.now();
  if (leavesAfter) setTimeout(() => leaving.abort(), leavesAfter);
  const request = { model: "tts-1", voice: "alloy", input, response_format: "pcm" };
  let [size, first, loudest] = [0, null, 0];
  try {
    const spoken = await client.audio.speech.create(request, { signal: leaving.signal });
    for await (const chunk of spoken.body) {
      first ??= (performance.now() - began) / 1000;
      size += chunk.length;
      const samples = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      // A chunk may begin within a sample; pairs of bytes are good enough to find whether there is sound.
      for (let at = 0; at + 1 < chunk.length; at += 2) loudest = Math.max(loudest, Math.abs(samples.getInt16(at, true)));
      if (isInterrupted) leaving.abort();
    }
  } catch (error) {
    // The body of a response that was aborted ends by the browser's error, not the package's.
    const told = ["retry-after", "x-should-retry"].map((name) => [name, error.headers?.get(name)]);
    return { seconds: size / 2 / 24000, after_seconds: (performance.now() - began) / 1000, error: error.name === "AbortError" ? error.name : error.constructor.name,
      text: String(error), ...Object.fromEntries(told) };
  }
  return { seconds: size / 2 / 24000, first_seconds: first, loudest };
}

console.log("ready");
await once(process.stdin, "data");
const result = {
  left: await speak(url, SENTENCE, { leavesAfter: HELD_MILLISECONDS }),
  speak: await speak(url, SENTENCE),
  interrupt: await speak(url, LONG, { isInterrupted: true }),
  refused: await speak(refusingUrl, SENTENCE),
  at_server: await speak(serverUrl, SENTENCE),
};
console.log(JSON.stringify(result));
process.exit(0);
