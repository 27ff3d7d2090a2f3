// In the page: from a click to the first sound, and from a cancel to silence, over WebRTC and over a WebSocket.
// In the page, both are measured by the same AudioWorklet of the same AudioContext: sound is a sample above a threshold.
// At an audio output (`options.audible`), a track plays in an audio element, as the pages have it, and the page's own
// figures are not used: __main__.py has the output's.
const LOUD = 0.02;
const RATE = 48000;

const WORKLETS = `
registerProcessor("detector", class extends AudioWorkletProcessor {
  process([input]) {
    const samples = input[0];
    if (samples) {
      let peak = 0;
      for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
      if (peak > ${LOUD}) this.port.postMessage(peak);
    }
    return true;
  }
});
// Plays what it is given as soon as it has so many samples; silence before that, and when it runs dry.
registerProcessor("player", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.parts = []; this.at = 0; this.samples = 0; this.waits = processorOptions.prebuffer; this.underruns = 0;
    this.port.onmessage = ({ data }) => {
      if (data === null) { this.parts = []; this.samples = 0; this.at = 0; return; }
      this.parts.push(data); this.samples += data.length;
    };
  }
  process(_inputs, [[output]]) {
    if (this.samples < this.waits) return true;
    this.waits = 0;
    for (let i = 0; i < output.length && this.parts.length; i++) {
      output[i] = this.parts[0][this.at++]; this.samples--;
      if (this.at === this.parts[0].length) { this.parts.shift(); this.at = 0; }
    }
    return true;
  }
});`;

async function makeContext() {
  const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  await context.resume();
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([WORKLETS], { type: "text/javascript" })));
  return context;
}

function detect(context) {
  const detector = new AudioWorkletNode(context, "detector");
  const heard = { first: null, last: null, node: detector };
  detector.port.onmessage = () => {
    heard.last = performance.now();
    heard.first ??= heard.last;
  };
  detector.connect(context.destination);
  return heard;
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function until(condition, what, milliseconds = 60000) {
  const limit = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`${what} did not come within ${milliseconds} ms`);
    await sleep(2);
  }
}

const messages = (model, text) => [
  { type: "session.start", model, input: text, seed: 7, response_format: "pcm", sample_rate: RATE },
  { type: "text.flush" },
];

async function overWebSocket(context, model, text, { bufferSeconds, connectedMilliseconds, audible }) {
  const heard = detect(context);
  const player = new AudioWorkletNode(context, "player", { processorOptions: { prebuffer: bufferSeconds * RATE } });
  player.connect(heard.node);
  if (audible) player.connect(context.destination);
  let begun = performance.now();
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/audio/speech/stream`);
  socket.binaryType = "arraybuffer";
  const result = { firstBytes: null };
  const send = (message) => socket.send(JSON.stringify(message));
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      if (JSON.parse(data).type === "cancelled") player.port.postMessage(null);
      return;
    }
    result.firstBytes ??= performance.now() - begun;
    player.port.postMessage(Float32Array.from(new Int16Array(data), (sample) => sample / 32768));
  };
  const opened = new Promise((done) => (socket.onopen = done));
  if (connectedMilliseconds) {
    await opened;
    send(messages(model, "")[0]);
    await sleep(connectedMilliseconds);
    begun = performance.now();
    send({ type: "text.append", text });
    send({ type: "text.flush" });
  } else {
    await opened;
    messages(model, text).forEach(send);
  }
  await until(() => heard.first !== null, "sound");
  return {
    ...result,
    begun,
    firstSound: heard.first - begun,
    heard,
    cancel: () => {
      send({ type: "cancel" });
      player.port.postMessage(null); // as a page does: what it has buffered is its own
    },
    close: () => { socket.close(); player.disconnect(); heard.node.disconnect(); },
  };
}

// Returns what ends the playing.
function play(context, stream, heard, { audible, isGraph }) {
  const audio = new Audio();
  audio.srcObject = stream;
  audio.muted = !audible || isGraph; // without an element, Chromium takes no samples from the track
  audio.play();
  if (!audible || isGraph) {
    const source = context.createMediaStreamSource(stream);
    source.connect(heard.node);
    if (audible) source.connect(context.destination);
  }
  return () => { audio.srcObject = null; heard.node.disconnect(); };
}

async function overRtc(context, model, text, options) {
  const { connectedMilliseconds } = options;
  const heard = detect(context);
  const made = options.isMadeBefore ? new RTCPeerConnection() : null;
  if (made) await sleep(1000);
  const begunOpening = performance.now();
  let connectedAt = null;
  let connection = null;
  const started = [];
  const opening = rtc.openRtcSession({
    connection: (configuration) => (connection = made ?? new RTCPeerConnection(configuration)),
    messages: connectedMilliseconds ? messages(model, "").slice(0, 1) : messages(model, text),
    request: fetch.bind(window),
    events: {
      state: (state) => { if (state === "connected") connectedAt = performance.now(); },
      message: (message) => { if (message.type === "sentence.started") started.push({ ...message, at: performance.now() }); },
    },
  });
  // Before the answer: the browser's output starts meanwhile.
  const stop = play(context, new MediaStream(connection.getReceivers().map(({ track }) => track)), heard, options);
  const session = await opening;
  const answered = performance.now();
  let begun = begunOpening;
  if (connectedMilliseconds) {
    await until(() => connectedAt !== null, "the connection");
    await sleep(connectedMilliseconds);
    begun = performance.now();
    session.append(text);
    session.flush();
  }
  const isPlaying = () => started.length > 0 && session.playing() !== null;
  await until(options.audible && !options.isGraph ? isPlaying : () => heard.first !== null, "sound");
  return {
    begun,
    firstSound: heard.first === null ? null : heard.first - begun,
    answered: answered - begunOpening,
    connected: connectedAt === null ? null : connectedAt - begunOpening,
    startMessage: started.length ? started[0].at - begun : null,
    playing: () => session.playing(),
    stats: async () => [...(await session.receiver.getStats()).values()].find((each) => each.type === "inbound-rtp"),
    heard,
    cancel: () => session.cancel(),
    close: () => { session.close(); stop(); },
  };
}

async function cancelled(run) {
  await sleep(600); // of sound
  const at = performance.now();
  run.cancel();
  await sleep(1500);
  return { cancelledAt: performance.timeOrigin + at, silence: run.heard.last === null ? null : run.heard.last - at };
}

window.bench = {
  async one(kind, model, text, options) {
    window.context ??= await makeContext();
    const run = await (kind === "ws" ? overWebSocket : overRtc)(context, model, text, options);
    const { silence, cancelledAt } = await cancelled(run);
    const playing = run.playing?.() ?? null;
    const stats = run.stats ? await run.stats() : null;
    run.close();
    const { firstSound, answered, connected, startMessage, firstBytes } = run;
    return {
      begunAt: performance.timeOrigin + run.begun, cancelledAt, // milliseconds since 1970
      firstSound, answered, connected, startMessage, firstBytes, silence, playing: playing && playing.text,
      concealed: stats && stats.concealedSamples / stats.totalSamplesReceived,
      jitterDelay: stats && (1000 * stats.jitterBufferDelay) / stats.jitterBufferEmittedCount,
    };
  },
};
