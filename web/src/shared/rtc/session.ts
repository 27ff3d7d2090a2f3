// A session over WebRTC: the server's speech as a MediaStream in real time, messages over a data channel.
// The offer carries the first messages, so that the server speaks while ICE and DTLS connect; and it is sent before any
// candidate is known: the server learns the browser's address from the checks that reach it, so that the .local names
// with which browsers hide addresses need no resolving. Knows nothing of the page.
import {
  type ClientMessage,
  parseServerMessage,
  playingSentence,
  type SentenceStarted,
  type ServerMessage,
} from "./messages";

export const RTC_PATH = "/v1/audio/speech/rtc";

export interface RtcEvents {
  message?: (message: ServerMessage) => void;
  /** The connection's state: connecting, connected, disconnected, failed, closed. */
  state?: (state: RTCPeerConnectionState) => void;
}

export interface RtcOptions {
  /** What the server gets with the offer: session.start, and text for its first words. */
  messages: ClientMessage[];
  events?: RtcEvents;
  /** As `request` of shared/http.ts: raises for an error response. */
  request: (path: string, init: RequestInit) => Promise<Response>;
  iceServers?: RTCIceServer[];
  connection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

/** An open session; `stream` plays in an audio element or an AudioContext. */
export class RtcSession {
  readonly sessionId: Promise<string>;
  readonly stream: MediaStream;
  private readonly started: SentenceStarted[] = [];
  private readonly unsent: ClientMessage[] = [];
  private readonly channel: RTCDataChannel;
  private readonly receiver: RTCRtpReceiver;
  private isClosed = false;

  constructor(
    private readonly connection: RTCPeerConnection,
    private readonly options: RtcOptions,
  ) {
    this.channel = connection.createDataChannel("voxfleet");
    this.channel.onopen = () => this.sendWaiting();
    this.channel.onmessage = (event) => this.take(String(event.data));
    connection.onconnectionstatechange = () => this.options.events?.state?.(connection.connectionState);
    this.receiver = connection.addTransceiver("audio", { direction: "recvonly" }).receiver;
    // As little delay as the network allows: the browser raises it by itself when packets come late.
    if ("jitterBufferTarget" in this.receiver) this.receiver.jitterBufferTarget = 0;
    this.stream = new MediaStream([this.receiver.track]);
    this.sessionId = this.negotiate();
  }

  /** Add text; complete sentences are spoken. */
  append(text: string): void {
    this.send({ type: "text.append", text });
  }

  /** Speak the incomplete sentence too. */
  flush(): void {
    this.send({ type: "text.flush" });
  }

  /** Stop the speech and drop pending text; the session continues. */
  cancel(): void {
    this.send({ type: "cancel" });
  }

  /** Speak what is pending, then end; `session.done` follows the last sound. */
  end(): void {
    this.send({ type: "session.end" });
  }

  /** The sentence that is playing now, by the time stamp of the packet that the browser plays. */
  playing(): SentenceStarted | null {
    const source = this.receiver.getSynchronizationSources()[0];
    return source ? playingSentence(this.started, source.rtpTimestamp) : null;
  }

  /** How often the browser had to make up sound because a packet was late or lost. */
  async concealments(): Promise<number> {
    const reports = [...(await this.receiver.getStats()).values()];
    return reports.find((each) => each.type === "inbound-rtp")?.concealmentEvents ?? 0;
  }

  /** End at once, on both sides. */
  close(): void {
    if (!this.hangUp()) return;
    // A closed connection ends the session too; the request reaches the server even if no connection was made.
    this.sessionId
      .then((id) => this.options.request(`${RTC_PATH}/${id}`, { method: "DELETE", keepalive: true }))
      .catch(() => undefined);
  }

  /** Whether there was a connection to close. */
  private hangUp(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    this.connection.close();
    return true;
  }

  private async negotiate(): Promise<string> {
    const { connection, options } = this;
    await connection.setLocalDescription(await connection.createOffer());
    const body = { type: "offer", sdp: connection.localDescription?.sdp, messages: options.messages };
    const response = await options.request(RTC_PATH, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer: { sdp: string; session_id: string } = await response.json();
    if (!this.isClosed) await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    return answer.session_id;
  }

  private send(message: ClientMessage): void {
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(message));
    else if (this.channel.readyState === "connecting") this.unsent.push(message);
  }

  private sendWaiting(): void {
    for (const message of this.unsent.splice(0)) this.send(message);
  }

  private take(text: string): void {
    const message = parseServerMessage(text);
    if (message === null) return;
    if (message.type === "sentence.started") this.started.push(message);
    this.options.events?.message?.(message);
    if (message.type === "session.done") this.hangUp(); // the server has ended the session: nothing to delete
  }
}

/** Open a session; raises what `request` raises for an error response. */
export async function openRtcSession(options: RtcOptions): Promise<RtcSession> {
  const connect = options.connection ?? ((configuration) => new RTCPeerConnection(configuration));
  const session = new RtcSession(connect({ iceServers: options.iceServers ?? [] }), options);
  try {
    await session.sessionId;
  } catch (error) {
    session.close();
    throw error;
  }
  return session;
}
