// A session over WebRTC with what it has reported, and one that is connected before its text is known: ICE and DTLS take
// longer than all else before the first sound. Knows how long such a one is kept; knows no text and no page.
import { ApiError, request } from "../../../../shared/http";
import type { ClientMessage, ServerMessage, StartFields } from "../../../../shared/rtc/messages";
import { openRtcSession, type RtcOptions, type RtcSession } from "../../../../shared/rtc/session";
import { type SpeechSettings, speechBody } from "../../../settings/settings";

export type Link = { state: RTCPeerConnectionState; wasConnected: boolean };

export type LiveConnection = {
  readonly session: RtcSession;
  readonly messages: ServerMessage[]; // not read yet
  readonly link: Link;
};

export type OpenSession = (options: RtcOptions) => Promise<RtcSession>;

/** Why a speech cannot come over WebRTC: the server has none, no UDP packet passes, or the browser has none. */
export type NoRtcReason = "server" | "network" | "browser";

export class NoRtcError extends Error {
  constructor(readonly reason: NoRtcReason) {
    super(reason);
  }
}

const NOT_OFFERED = [404, 405, 501]; // an older gateway or server, one without the extra
const KEPT_MILLISECONDS = 60_000; // an open session is an open request: its region does not go to sleep meanwhile
const GONE: readonly RTCPeerConnectionState[] = ["disconnected", "failed", "closed"];

/** Open a session that is offered with these messages. Raises NoRtcError, ApiError, or TypeError. */
export async function connectLive(
  offered: ClientMessage[],
  init: RequestInit,
  open: OpenSession = openRtcSession,
): Promise<LiveConnection> {
  const messages: ServerMessage[] = [];
  const link: Link = { state: "new", wasConnected: false };
  const state = (given: RTCPeerConnectionState) => {
    link.state = given;
    link.wasConnected ||= given === "connected";
  };
  try {
    const session = await open({
      messages: offered,
      request: (path, given) => request(path, given.method === "POST" ? merged(given, init) : given),
      events: { message: (message) => messages.push(message), state },
    });
    return { session, messages, link };
  } catch (error) {
    if (error instanceof ApiError && NOT_OFFERED.includes(error.status)) throw new NoRtcError("server");
    throw error;
  }
}

/** The first message of a session, with its first text where that is known. */
export function startOf(settings: SpeechSettings, input?: string) {
  const { input: _, ...fields } = speechBody(settings);
  const start = { type: "session.start", ...(fields as unknown as StartFields) } as const;
  return input === undefined ? start : { ...start, input };
}

function merged(given: RequestInit, init: RequestInit): RequestInit {
  return { ...given, ...init, headers: { ...given.headers, ...init.headers } as Record<string, string> };
}

type Waiting = {
  readonly key: string;
  readonly connection: Promise<LiveConnection>;
  opened: LiveConnection | null; // once it is
};

/** At most one session that is connected ahead, for a minute after it was last asked for. */
export class ConnectionAhead {
  #waiting: Waiting | null = null;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly open: OpenSession = openRtcSession) {}

  /** Connect for these settings, whatever their text; once until they change, also where it fails. */
  prepare(settings: SpeechSettings): Promise<LiveConnection> {
    const key = keyOf(settings);
    const isKept = this.#waiting?.key === key && (!this.#waiting.opened || isUsable(this.#waiting.opened));
    if (!isKept) this.drop();
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.drop(), KEPT_MILLISECONDS);
    this.#waiting ??= this.#opening(settings, key);
    return this.#waiting.connection;
  }

  /** Return the session for these settings, which is then the caller's; null where there is none to be used. */
  async take(settings: SpeechSettings): Promise<LiveConnection | null> {
    const waiting = this.#waiting;
    if (waiting?.key !== keyOf(settings)) return null;
    this.#waiting = null;
    clearTimeout(this.#expiry);
    try {
      const connection = await waiting.connection;
      if (isUsable(connection)) return connection;
      connection.session.close();
    } catch (error) {
      if (error instanceof NoRtcError) throw error; // another offer has the same answer
    }
    return null;
  }

  /** Whether this one still waits: it was not taken, dropped or replaced while it was opened. */
  holds(connection: LiveConnection): boolean {
    return this.#waiting?.opened === connection;
  }

  /** End the session that waits. */
  drop(): void {
    clearTimeout(this.#expiry);
    this.#waiting?.connection.then(({ session }) => session.close()).catch(() => undefined);
    this.#waiting = null;
  }

  #opening(settings: SpeechSettings, key: string): Waiting {
    // Not held by a gateway whose regions are asleep: its answer says so at once, and the speech itself is held.
    const connection = connectLive([startOf(settings)], { headers: { Prefer: "wait=0" } }, this.open);
    const waiting: Waiting = { key, connection, opened: null };
    connection.then((opened) => (waiting.opened = opened)).catch(() => undefined);
    return waiting;
  }
}

/** All that a session is started with; its text comes later. */
function keyOf(settings: SpeechSettings): string {
  return JSON.stringify(startOf(settings));
}

function isUsable({ link, messages }: LiveConnection): boolean {
  return !GONE.includes(link.state) && !messages.some(({ type }) => type === "error" || type === "session.done");
}
