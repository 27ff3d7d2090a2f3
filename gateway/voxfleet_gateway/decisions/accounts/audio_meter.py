"""How many seconds of audio a response has sent, by its bytes or by the server's own figures. Pure.

Knows: the formats whose bytes have a constant rate (pcm, wav, and mp3 as the speech server encodes it), the events of a
speech stream: `speech.audio.done` of the speech server says where its last sentence ends. Other formats stay estimated.
Does not know: HTTP, prices.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

DONE = b'"speech.audio.done"'  # audio is base64, which has no quotes
EVENT_OVERHEAD = len(b'data: {"type": "speech.audio.delta", "audio": ""}\n\n')
BASE64_SHARE = 3 / 4
SAMPLE_BYTES = 2  # 16 bits, one channel
WAV_HEADER_BYTES = 44
HEAD_BYTES = 4096  # of an mp3: its first frame comes after the tags
PCM_RATE = 24_000  # of a server that names none, as OpenAI's
# kbit/s of MPEG audio layer III by the frame header's index: version 1, and versions 2 and 2.5 with lower sample rates.
MP3_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
MP3_KBITS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)


class Source(StrEnum):
    """Where a figure comes from; the usage log names it."""

    SERVER = "server"  # the server's own
    BYTES = "bytes"  # sent bytes at a constant rate
    ESTIMATE = "estimate"  # of the text's length


@dataclass(frozen=True, slots=True)
class AudioSeconds:
    """A figure and its source."""

    seconds: float
    source: Source


@dataclass(slots=True)
class AudioMeter:
    """Counts one response with status 200."""

    response_format: str
    sample_rate: int | None  # as the server's header says
    is_events: bool
    estimated_seconds: float
    audio_bytes: float = 0.0
    head: bytes = b""  # of an mp3
    done: bytes = field(default=b"", repr=False)

    def feed(self, chunk: bytes) -> None:
        """Count what was sent; of events, whole ones."""
        if not self.is_events:
            if (missing := HEAD_BYTES - len(self.head)) > 0:
                self.head += chunk[:missing]
            self.audio_bytes += len(chunk)
            return
        audio, is_done, last = chunk.partition(DONE)
        if is_done:
            start = audio.rfind(b"data: ")
            self.done, audio = audio[start:] + DONE + last, audio[:start]
        overhead = EVENT_OVERHEAD * audio.count(b"data: ")
        self.audio_bytes += max(0.0, len(audio) - overhead) * BASE64_SHARE

    def result(self) -> AudioSeconds:
        """Return the seconds that were sent; nothing for a response without audio."""
        if (seconds := _of_done(self.done)) is not None:
            return AudioSeconds(round(seconds, 3), Source.SERVER)
        if not self.audio_bytes:
            return AudioSeconds(0.0, Source.BYTES)
        seconds_of = SECONDS_OF.get(self.response_format)
        seconds = seconds_of(self) if seconds_of is not None else None
        if seconds is None:
            return AudioSeconds(round(self.estimated_seconds, 3), Source.ESTIMATE)
        return AudioSeconds(round(seconds, 3), Source.BYTES)


def _of_done(events: bytes) -> float | None:
    """Return where the last sentence ends, as the last event says."""
    for line in events.split(b"\n"):
        if line.startswith(b"data: ") and DONE in line:
            try:
                return max(0.0, float(json.loads(line[6:])["sentences"][-1]["until_seconds"]))
            except (ValueError, LookupError, TypeError, RecursionError):
                return None
    return None


def _of_pcm(meter: AudioMeter) -> float | None:
    return meter.audio_bytes / SAMPLE_BYTES / (meter.sample_rate or PCM_RATE)


def _of_wav(meter: AudioMeter) -> float | None:
    if meter.sample_rate is None:
        return None
    return max(0.0, meter.audio_bytes - WAV_HEADER_BYTES) / SAMPLE_BYTES / meter.sample_rate


def _of_mp3(meter: AudioMeter) -> float | None:
    """Return the length at the bit rate of the first frame; None when there is none near the beginning."""
    if meter.is_events:
        return None  # its frames are in base64
    head, at = meter.head, -1
    while (at := head.find(b"\xff", at + 1)) >= 0 and at + 2 < len(head):
        second = head[at + 1]
        if second & 0xE6 == 0xE2:  # noqa: PLR2004  # the rest of the frame sync, and layer III
            kbits = (MP3_KBITS if second & 0x18 == 0x18 else MP3_KBITS_LOW)[head[at + 2] >> 4]  # noqa: PLR2004
            if kbits:
                return meter.audio_bytes * 8 / (kbits * 1000)
    return None


SECONDS_OF: dict[str, Callable[[AudioMeter], float | None]] = {"pcm": _of_pcm, "wav": _of_wav, "mp3": _of_mp3}
