// Speaks one text at a time: request, run, playback and state in step. Not React: `useSpeak` shows its state.

import type { Peaks } from "../../../shared/audio/peaks";
import { type Pace, startSeconds } from "../../../shared/audio/player/bufferPolicy";
import { type PlayerEvent, SpeechPlayer } from "../../../shared/audio/player/speechPlayer";
import type { SpeechSettings } from "../../settings/settings";
import type { FinishedSpeech, Sentence } from "../finishedSpeech";
import { completeSettings, type FirstModel } from "./completeSettings";
import { atClick, paceOf, withAudio } from "./figures";
import { NoRtcError } from "./live/liveConnection";
import { LiveSource } from "./live/liveParts";
import { afterLivePart } from "./live/liveState";
import { RealTime } from "./live/realTime";
import { isTooLong, type LongSpeechPart, longSpeechParts } from "./long/longSpeech";
import { afterPlayerEvent } from "./playerState";
import { audibleSentence } from "./sentences";
import { browserFault, faultOf } from "./speechFault";
import { SpeechRun } from "./speechRun";
import { isActive, type SpeechState } from "./speechState";
import { StateStore } from "./stateStore";

/** What the engine needs of SpeechPlayer. */
export type Player = Pick<
  SpeechPlayer,
  | "onEvent"
  | "prepare"
  | "unlock"
  | "play"
  | "grown"
  | "between"
  | "finish"
  | "pause"
  | "stop"
  | "setVolume"
  | "positionSeconds"
>;

export class SpeechEngine {
  onFinished: (speech: FinishedSpeech) => void = () => {};
  firstModel: FirstModel = () => null; // for settings that name none
  requestCharacters = 4096; // most of one request
  readonly #player: Player;
  readonly #realTime: RealTime;
  readonly #store = new StateStore();
  #run: SpeechRun | null = null;
  #pace: Pace = Number.POSITIVE_INFINITY; // of the last speech
  #lastUnderruns = 0; // of the last speech
  #before = { underruns: 0, waits: 0 }; // in this speech, before it was played from another place

  constructor(player: Player = new SpeechPlayer(), live: LiveSource = new LiveSource()) {
    this.#player = player;
    this.#realTime = new RealTime(live);
    this.#player.onEvent = (event) => this.#played(event);
  }

  readonly watch = this.#store.watch;
  readonly state = this.#store.current;

  /** Make the audio output before it is needed. */
  readonly prepare = (): void => this.#player.prepare();

  /** Choose WebRTC or HTTP for the next speech. */
  setLive(isLive: boolean): void {
    this.#realTime.choose(isLive);
  }

  /** A speech of these settings is likely soon: connect for it, whatever its text will be. */
  readonly connectAhead = (settings: SpeechSettings): void => {
    if (!isActive(this.state())) this.#realTime.connectAhead(settings, this.firstModel);
  };

  /** End what is connected ahead, as a page that is left has to. */
  readonly disconnect = (): void => this.#realTime.source.disconnect();

  readonly speak = (settings: SpeechSettings): void => {
    this.stop();
    this.#lastUnderruns = this.state().underruns;
    this.#before = { underruns: 0, waits: 0 };
    const run = new SpeechRun(settings);
    this.#run = run;
    const way = this.#realTime.wayOf(settings.text, this.requestCharacters);
    const fresh = { text: settings.text, moments: atClick(performance.now()), clickedAt: Date.now() };
    if (isTooLong(settings.text, this.requestCharacters)) {
      this.#store.begin({ ...fresh, phase: "failed", fault: browserFault("tooLong") });
      return;
    }
    this.#store.begin({ ...fresh, ...way, phase: "waiting", isArriving: true });
    void this.#receive(run, settings, way.isLive); // sends the request before it returns, where the model is known
    this.#player.unlock();
  };

  /** Silence at once; what has arrived stays, to be played again. */
  readonly stop = (): void => {
    const run = this.#run;
    if (!run || !isActive(this.state())) return;
    this.#player.stop();
    if (this.state().isArriving) {
      run.abort.abort();
      this.#arrived(run, false);
    }
    this.#change({ phase: run.hasAudio ? "ended" : "idle", audible: -1, waitingSince: null, isHeld: false });
  };

  readonly pause = (): void => {
    if (this.state().phase !== "playing") return;
    this.#player.pause(true);
    this.#change({ phase: "paused" });
  };

  /** Go on after a pause, or play again from the start. */
  readonly resume = (): void => {
    const { phase } = this.state();
    if (phase === "paused") this.#player.pause(false);
    else if (phase === "ended" || phase === "failed") this.seek(0);
    else return;
    this.#change({ phase: "playing" });
  };

  readonly seek = (seconds: number): void => {
    const run = this.#run;
    if (!run?.hasAudio) return;
    const from = Math.max(0, Math.min(seconds, run.clip.durationSeconds - 0.05));
    this.#before = this.state();
    this.#player.play(run.clip, from, this.#wait(), !this.state().isArriving);
    if (run.isBetween) this.#player.between();
    this.#change({ phase: "playing", audible: audibleSentence(this.state().sentences, from) });
  };

  /** From 0 to 1, as loud as it sounds. */
  setVolume(volume: number): void {
    this.#player.setVolume(volume);
    this.#realTime.source.setVolume(volume);
  }

  get positionSeconds(): number {
    if (this.state().phase === "ended" || !this.#run) return 0;
    return this.#player.positionSeconds;
  }

  get durationSeconds(): number {
    return this.#run?.clip.durationSeconds ?? 0;
  }

  /** How long the speech will be, about. */
  get expectedSeconds(): number {
    return this.#run?.expectedSeconds ?? 0;
  }

  get peaks(): Peaks | null {
    return this.#run?.peaks ?? null;
  }

  async #receive(run: SpeechRun, settings: SpeechSettings, isLive: boolean): Promise<void> {
    try {
      const completed = completeSettings(settings, this.firstModel);
      run.settings = completed instanceof Promise ? await completed : completed;
      if (isLive) return await this.#receiveLive(run, settings);
      const secondsLeft = () => run.partEndSeconds(this.state()) - this.#player.positionSeconds;
      for await (const part of longSpeechParts(run.settings, this.requestCharacters, run.abort.signal, secondsLeft)) {
        if (this.#isDropped(run)) return;
        this.#take(run, part);
      }
    } catch (error) {
      if (this.#isDropped(run)) return;
      if (!(error instanceof NoRtcError)) return this.#fail(run, error);
      this.#change(this.#realTime.fail(error.reason));
      await this.#receive(run, run.settings, false); // the same speech, the other way
    }
  }

  async #receiveLive(run: SpeechRun, settings: SpeechSettings): Promise<void> {
    // Without a seed of the user's, the server draws one: a session that was connected ahead has it already.
    const given = { ...run.settings, seed: settings.seed };
    for await (const part of this.#realTime.source.parts(given, this.requestCharacters, run.abort.signal)) {
      if (this.#isDropped(run)) return;
      const change = afterLivePart(this.state(), part, run, performance.now());
      if (change) this.#change(change);
    }
    this.connectAhead(settings); // for the next one
  }

  #isDropped(run: SpeechRun): boolean {
    return this.#run !== run || run.abort.signal.aborted;
  }

  #take(run: SpeechRun, part: LongSpeechPart): void {
    if (part.kind === "text") {
      run.begin(part.text, this.state());
      if (run.isBetween) this.#player.between();
    }
    if (part.kind === "head" && run.isInFirstPart) {
      const { moments } = this.state();
      const { region, route } = part;
      this.#change({ moments: moments && { ...moments, firstByte: performance.now() }, region, route });
    }
    if (part.kind === "keepAlive") this.#change({ isHeld: !run.hasAudio || run.isBetween });
    if (part.kind === "audio") this.#takeAudio(run, part.samples, part.starts);
    if (part.kind === "done") {
      this.#addSentences(run, run.unnamed(this.state(), part.sentences));
      if (part.isLast) this.#arrived(run, true);
    }
  }

  #takeAudio(run: SpeechRun, samples: Int16Array<ArrayBuffer>, starts: readonly Sentence[]): void {
    const isFirst = !run.hasAudio && samples.length > 0;
    run.append(samples);
    if (isFirst) this.#player.play(run.clip, 0, this.#wait(), false);
    else if (this.state().phase !== "ended") this.#player.grown();
    const { moments } = this.state();
    const seconds = samples.length / run.clip.sampleRate;
    this.#addSentences(run, starts);
    const counted = moments && run.isInFirstPart ? withAudio(moments, seconds, performance.now()) : moments;
    this.#change({ moments: counted, isHeld: false });
  }

  #addSentences(run: SpeechRun, starts: readonly Sentence[]): void {
    if (starts.length) this.#change(run.located(this.state(), starts));
  }

  /** No more audio comes: publish what has. */
  #arrived(run: SpeechRun, isComplete: boolean): void {
    this.#player.finish();
    this.#pace = paceOf(this.state().moments, this.#pace);
    this.#change({ isArriving: false });
    if (run.hasAudio) this.onFinished(run.finished(this.state(), isComplete));
    else if (isComplete) this.#change({ phase: "ended" });
  }

  #wait(): number {
    return startSeconds(this.#pace, this.#lastUnderruns);
  }

  #fail(run: SpeechRun, error: unknown): void {
    this.#arrived(run, false);
    const fault = faultOf(error, run.hasAudio || this.state().audible >= 0, Date.now());
    // What has arrived is played to its end; the fault is shown meanwhile.
    this.#change(run.hasAudio ? { fault } : { fault, phase: "failed", isHeld: false });
  }

  #played(event: PlayerEvent): void {
    if (event.type === "failed") this.stop();
    const played = { positionSeconds: this.#player.positionSeconds, before: this.#before, now: Date.now() };
    const change = afterPlayerEvent(this.state(), event, played);
    if (change) this.#change(change);
  }

  #change(part: Partial<SpeechState>): void {
    this.#store.change(part);
  }
}
