"""The text that a stub pod turns into bytes on a schedule, and the timing of its chunks where they arrive. Pure.

Knows: that a chunk begins with the monotonic time at which it was sent, which is the same clock in every process of a
machine; that a pod sends the first two chunks at once, so that playback is one chunk ahead.
Does not know: sockets, HTTP.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

CHUNK_SECONDS = 0.16
CHUNK_BYTES = 14_112  # 160 ms of 44.1 kHz s16le: 88 KB/s
STAMP = struct.Struct("d")
_FORM = re.compile(rb"(\d+) chunks each (\d+) ms")


@dataclass(frozen=True, slots=True)
class SpokenText:
    """How many chunks a pod sends, and how far apart; 0 ms: all at once."""

    chunks: int
    pause_ms: int = 0

    def __str__(self) -> str:
        """Return the text of a request."""
        return f"{self.chunks} chunks each {self.pause_ms} ms"

    @classmethod
    def find(cls, body: bytes) -> SpokenText | None:
        """Return what a request's body asks for."""
        found = _FORM.search(body)
        return cls(int(found[1]), int(found[2])) if found else None

    @property
    def pause_seconds(self) -> float:
        """Seconds between two chunks."""
        return self.pause_ms / 1000


@dataclass(slots=True)
class ChunkTiming:
    """When each chunk of a stream was sent, and when its last byte arrived."""

    sent_at: list[float] = field(default_factory=list)
    arrived_at: list[float] = field(default_factory=list)

    def ages(self) -> list[float]:
        """Return the seconds that each chunk was under way."""
        return [arrived - sent for sent, arrived in zip(self.sent_at, self.arrived_at, strict=True)]

    def stalls(self, chunk_seconds: float) -> list[float]:
        """Return the length of each underrun of a playback that starts with the first chunk."""
        found: list[float] = []
        due_at = self.arrived_at[0] if self.arrived_at else 0.0
        for arrived_at in self.arrived_at:
            if arrived_at > due_at:
                found.append(arrived_at - due_at)
            due_at = max(due_at, arrived_at) + chunk_seconds
        return found


@dataclass(slots=True)
class StreamReader:
    """Finds the chunks in a body that arrives in pieces of any size."""

    text: SpokenText
    timing: ChunkTiming = field(default_factory=ChunkTiming)
    _position: int = 0  # within the current chunk
    _stamp: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes, now: float) -> None:
        """Take the next bytes of the body."""
        offset = 0
        while offset < len(data):
            if self._position < STAMP.size:
                self._stamp += data[offset : offset + STAMP.size - self._position]
            taken = min(len(data) - offset, CHUNK_BYTES - self._position)
            offset, self._position = offset + taken, self._position + taken
            if self._position == CHUNK_BYTES:
                self.timing.sent_at.append(STAMP.unpack(self._stamp)[0])
                self.timing.arrived_at.append(now)
                self._stamp.clear()
                self._position = 0
