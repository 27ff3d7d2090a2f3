"""The audio track of one session: the first frames at once, then one every 20 ms, silence when nothing waits.

Knows: aiortc's tracks and PyAV's packets, and the event loop's clock. Nothing is sent before the first frame: the
client's buffer is then empty, and plays it at once.
Does not know: what is spoken, or how a packet reaches the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet

from voxfleet_inference.server.live.rtc.opus import SILENCE
from voxfleet_inference.server.live.rtc.play_queue import SAMPLE_RATE, MediaClock, Played, PlayQueue

_TIME_BASE: Final = Fraction(1, SAMPLE_RATE)
_MOST_WAITING_SECONDS: Final = 2.0  # the engine is ahead by more; the rest waits there, where a cancel drops it too


class AudioTrack(MediaStreamTrack):
    """What aiortc's sender reads."""

    kind = "audio"

    def __init__(self, last_packet: Callable[[], list[bytes]], on_start: Callable[[Played, int], None]) -> None:
        super().__init__()
        self.queue = PlayQueue()
        self.clock: MediaClock | None = None  # None before the first frame
        self._last_packet, self._on_start = last_packet, on_start
        self._changed = asyncio.Event()
        self._sent: tuple[Played, int] | None = None  # with its time stamp, until its starts are reported

    async def recv(self) -> Any:  # a Packet, which is generic in PyAV's stubs alone
        """Return the next packet when it is due; by then the one before has been sent."""
        loop = asyncio.get_running_loop()
        if self._sent is not None:
            self._on_start(*self._sent)
            self._sent = None
        if self.clock is None:
            await self._until(lambda: self.queue.waiting_seconds > 0)
            self.clock = MediaClock(loop.time())
        await asyncio.sleep(max(0.0, self.clock.due_at - loop.time()))
        if self.readyState != "live":
            raise MediaStreamError
        played = self._take()
        packet = Packet(played.packet or SILENCE)
        packet.pts, packet.time_base = self.clock.advance(loop.time()), _TIME_BASE
        if played.starts:
            self._sent = (played, packet.pts)
        return packet

    def push(self, packets: list[bytes]) -> None:
        """Append frames."""
        self.queue.push(packets)
        self._wake()

    async def has_room(self) -> None:
        """Wait until little enough is waiting."""
        await self._until(lambda: self.queue.waiting_seconds < _MOST_WAITING_SECONDS)

    async def is_played(self) -> None:
        """Wait until nothing waits."""
        await self._until(lambda: not self.queue.waiting_seconds)

    def clear(self) -> None:
        """Drop what waits."""
        self.queue.clear()
        self._wake()

    def stop(self) -> None:
        """End the track, and every wait for it."""
        super().stop()
        self._wake()

    def _take(self) -> Played:
        if not self.queue.waiting_seconds:
            self.queue.push(self._last_packet())
        played = self.queue.take()
        self._wake()
        return played

    def _wake(self) -> None:
        self._changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition() and self.readyState == "live":
            self._changed.clear()
            await self._changed.wait()
