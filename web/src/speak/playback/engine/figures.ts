// The figures of one speech, from the moments at which things happened. Pure; milliseconds of performance.now().

import { measuredPace, type Pace } from "../../../shared/audio/player/bufferPolicy";

export type Moments = {
  readonly click: number;
  readonly firstByte: number | null; // the response's head
  readonly firstAudio: number | null; // the first samples have arrived
  readonly firstSound: number | null; // they have left the loudspeaker, as the browser estimates it
  readonly lastAudio: number | null;
  readonly firstAudioSeconds: number; // length of the first samples
  readonly audioSeconds: number;
};

export type Figures = {
  readonly firstByteMilliseconds: number | null;
  readonly firstAudioMilliseconds: number | null;
  readonly firstSoundMilliseconds: number | null;
  readonly realTimeFactor: number | null; // seconds for a second of audio, from the first audio on
};

export function atClick(click: number): Moments {
  const never = { firstByte: null, firstAudio: null, firstSound: null, lastAudio: null };
  return { click, ...never, firstAudioSeconds: 0, audioSeconds: 0 };
}

/** The moments after some audio has arrived. */
export function withAudio(moments: Moments, seconds: number, now: number): Moments {
  const audioSeconds = moments.audioSeconds + seconds;
  if (moments.firstAudio !== null) return { ...moments, audioSeconds, lastAudio: now };
  return { ...moments, audioSeconds, firstAudio: now, firstAudioSeconds: seconds, lastAudio: now };
}

export function figuresOf(moments: Moments): Figures {
  const since = (moment: number | null) => (moment === null ? null : Math.max(0, moment - moments.click));
  return {
    firstByteMilliseconds: since(moments.firstByte),
    firstAudioMilliseconds: since(moments.firstAudio),
    firstSoundMilliseconds: since(moments.firstSound),
    realTimeFactor: realTimeFactor(moments),
  };
}

/** How fast the audio came; the pace before where there is too little to say. */
export function paceOf(moments: Moments | null, before: Pace): Pace {
  if (!moments?.firstAudio || !moments.lastAudio) return before;
  const seconds = moments.audioSeconds - moments.firstAudioSeconds;
  return measuredPace(seconds, (moments.lastAudio - moments.firstAudio) / 1000);
}

function realTimeFactor(moments: Moments): number | null {
  const { firstAudio, lastAudio, audioSeconds, firstAudioSeconds } = moments;
  if (firstAudio === null || lastAudio === null || audioSeconds <= firstAudioSeconds) return null;
  return (lastAudio - firstAudio) / 1000 / (audioSeconds - firstAudioSeconds);
}

const WEIGHT_PER_SECOND = 15; // what the server expects, too; a Latin character weighs 1, a Chinese one 3
const WIDE = /[\u3000-\u9fff\uac00-\ud7af\uff00-\uff60]/;

/** How long a text will be as speech, about; for a waveform whose end has not arrived. */
export function expectedSeconds(text: string, speed: number): number {
  let weight = 0;
  for (const each of text) weight += WIDE.test(each) ? 3 : 1;
  return weight / WEIGHT_PER_SECOND / speed;
}
