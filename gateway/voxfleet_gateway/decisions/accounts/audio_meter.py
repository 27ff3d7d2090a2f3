"""How many seconds of audio a response has sent: by the server's own figure, else by its bytes or its frames. Pure.

Knows: the formats whose bytes have a constant rate (pcm, wav, mulaw, alaw), those with frames (audio_frames/), the
events of a speech stream: `speech.audio.done` of the speech server says where its last sentence ends.
Does not know: HTTP, prices, how a format's frames are found.
"""

import binascii
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from voxfleet_gateway.decisions.accounts.audio_frames.flac import FlacFrames
from voxfleet_gateway.decisions.accounts.audio_frames.mpeg import adts_frames, mp3_frames
from voxfleet_gateway.decisions.accounts.audio_frames.ogg_opus import OggOpusPages

DONE = b'"speech.audio.done"'  # audio is base64, which has no quotes
AUDIO = b'"audio":'
SAMPLE_BYTES = 2  # 16 bits, one channel
WAV_HEADER_BYTES = 44
# Bytes of a sample, and the rate of a server that names none.
RAW = {"pcm": (SAMPLE_BYTES, 24_000), "mulaw": (1, 8000), "alaw": (1, 8000)}
MAX_SECONDS = 1e6  # whatever a server says: a bill is made of it


class Source(StrEnum):
    """Where a figure comes from; the usage log names it."""

    SERVER = "server"  # the server's own
    BYTES = "bytes"  # sent bytes at a constant rate
    FRAMES = "frames"  # sent frames, which say how long they are
    ESTIMATE = "estimate"  # of the text's length


class Frames(Protocol):
    """Counts the frames of one response."""

    def feed(self, chunk: bytes) -> None:
        """Count the frames that are complete with these bytes."""

    def seconds(self) -> float | None:
        """Return the length of all complete frames; None where none was found."""


FRAMES: dict[str, Callable[[], Frames]] = {
    "mp3": mp3_frames,
    "aac": adts_frames,
    "opus": OggOpusPages,
    "flac": FlacFrames,
}


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
    audio_bytes: int = 0
    frames: Frames | None = field(init=False)
    done: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        make = FRAMES.get(self.response_format)
        self.frames = make() if make is not None else None

    def feed(self, chunk: bytes) -> None:
        """Count what was sent; of events, whole ones."""
        if not self.is_events:
            self._count(chunk)
            return
        audio, is_done, last = chunk.partition(DONE)
        if is_done:
            start = audio.rfind(b"data: ")
            self.done, audio = audio[start:] + DONE + last, audio[:start]
        for encoded in _base64_of(audio):
            if self.frames is None:  # only the length matters
                self.audio_bytes += len(encoded) * 3 // 4 - encoded[-2:].count(b"=")
            else:
                self._count(_decoded(encoded))

    def _count(self, audio: bytes) -> None:
        self.audio_bytes += len(audio)
        if self.frames is not None:
            self.frames.feed(audio)

    def result(self) -> AudioSeconds:
        """Return the seconds that were sent; nothing for a response without audio."""
        if (seconds := _of_done(self.done)) is not None:
            return AudioSeconds(round(seconds, 3), Source.SERVER)
        if not self.audio_bytes:
            return AudioSeconds(0.0, Source.BYTES)
        seconds = self.frames.seconds() if self.frames is not None else self._of_bytes()
        if seconds is None:
            return AudioSeconds(round(self.estimated_seconds, 3), Source.ESTIMATE)
        return AudioSeconds(round(seconds, 3), Source.BYTES if self.frames is None else Source.FRAMES)

    def _of_bytes(self) -> float | None:
        if (raw := RAW.get(self.response_format)) is not None:
            sample_bytes, default_rate = raw
            return self.audio_bytes / sample_bytes / (self.sample_rate or default_rate)
        if self.response_format == "wav" and self.sample_rate is not None:
            return max(0, self.audio_bytes - WAV_HEADER_BYTES) / SAMPLE_BYTES / self.sample_rate
        return None


def _base64_of(events: bytes) -> Iterator[bytes]:
    """Yield the values of all `audio` fields; in no other field can an unescaped quote stand before their name."""
    at = events.find(AUDIO)
    while at >= 0:
        start = events.find(b'"', at + len(AUDIO)) + 1
        end = events.find(b'"', start)
        if not 0 < start < end:
            return
        yield events[start:end]
        at = events.find(AUDIO, end)


def _decoded(encoded: bytes) -> bytes:
    try:
        return binascii.a2b_base64(encoded)
    except binascii.Error:
        return b""


def _of_done(events: bytes) -> float | None:
    """Return where the last sentence ends, as the last event says; None for no event, or a figure that is none."""
    for line in events.split(b"\n"):
        if line.startswith(b"data: ") and DONE in line:
            try:
                seconds = float(json.loads(line[6:])["sentences"][-1]["until_seconds"])
            except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
                return None
            return min(max(0.0, seconds), MAX_SECONDS) if math.isfinite(seconds) else None
    return None
