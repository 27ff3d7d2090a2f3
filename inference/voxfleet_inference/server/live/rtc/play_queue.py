"""Encoded audio that waits to be played, and the clock that it is played by.

Knows: frames of 20 ms, the messages that belong before one of them, and that a late frame is sent at once.
Does not know: clocks (the time is an argument), RTP, codecs or connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from voxfleet_inference.server.live.server_messages import SentenceStart

SAMPLE_RATE: Final = 48_000  # of Opus in RTP, whatever is encoded (RFC 7587, 4.1)
FRAME_SAMPLES: Final = 960
FRAME_SECONDS: Final = FRAME_SAMPLES / SAMPLE_RATE
_LATEST_SECONDS: Final = (
    0.5  # behind by more, the clock skips: a burst of old frames would overflow the client's buffer
)
# The first frames are sent at once: a browser plays the first one as it comes, and needs others for packets that come
# late from then on. Nothing sounds later for it.
LEAD_FRAMES: Final = 2


@dataclass(frozen=True, slots=True)
class Played:
    """What a tick of the clock sends."""

    packet: bytes | None  # None: silence
    starts: tuple[SentenceStart, ...] = ()  # sentences whose first frame this is


@dataclass(slots=True)
class PlayQueue:
    """Frames in playing order."""

    _waiting: deque[bytes | SentenceStart] = field(default_factory=deque)
    _frames: int = 0
    _played: int = 0

    @property
    def waiting_seconds(self) -> float:
        """The audio that waits."""
        return self._frames * FRAME_SECONDS

    @property
    def played_seconds(self) -> float:
        """The audio that was taken so far, without silence between."""
        return round(self._played * FRAME_SECONDS, 3)

    def push(self, packets: Iterable[bytes]) -> None:
        """Append frames, one packet each."""
        for packet in packets:
            self._waiting.append(packet)
            self._frames += 1

    def mark(self, start: SentenceStart) -> None:
        """Let a sentence start with the next frame that is pushed."""
        self._waiting.append(start)

    def clear(self) -> None:
        """Drop what waits, with its marks."""
        self._waiting.clear()
        self._frames = 0

    def take(self) -> Played:
        """Take the next frame; without one, marks stay."""
        if not self._frames:
            return Played(None)
        starts: list[SentenceStart] = []
        while isinstance(first := self._waiting.popleft(), SentenceStart):
            starts.append(first)
        self._frames -= 1
        self._played += 1
        return Played(first, tuple(starts))


@dataclass(slots=True)
class MediaClock:
    """When each frame is due, and its time stamp in samples; the first one and its lead are due at `started_at`."""

    started_at: float
    _frame: int = 0
    late_frames: int = 0

    @property
    def due_at(self) -> float:
        """When the next frame is to be sent."""
        return self.started_at + max(0, self._frame - LEAD_FRAMES) * FRAME_SECONDS

    def advance(self, now: float) -> int:
        """Return the time stamp of the frame that is sent now; far behind, skip the time that has passed."""
        late_seconds = now - self.due_at
        if late_seconds > FRAME_SECONDS:
            self.late_frames += 1
        if late_seconds > _LATEST_SECONDS:
            self._frame += int(late_seconds / FRAME_SECONDS)
        time_stamp = self._frame * FRAME_SAMPLES
        self._frame += 1
        return time_stamp
