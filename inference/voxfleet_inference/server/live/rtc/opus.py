"""Encodes a session's audio to Opus packets of 20 ms, on a thread that all sessions share.

Knows: PyAV's libopus. Does not know: RTP, or when a packet is sent.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from threading import Lock
from typing import Any, Final

import av
import numpy as np

from voxfleet_inference.server.live.rtc.frame_cutter import FrameCutter
from voxfleet_inference.server.live.rtc.play_queue import SAMPLE_RATE

# 20 ms of silence, mono (RFC 6716: a CELT frame whose first bit says so); needs no encoder.
SILENCE: Final = b"\xf8\xff\xfe"
_BITS_PER_SECOND: Final = 64_000  # as `response_format: opus`


class OpusEncoder:
    """48 kHz mono 16-bit samples in, packets out."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._cutter = FrameCutter()
        self._codec = _codec()
        self._turn = Lock()  # a cancelled call goes on in its thread

    async def encode(self, audio: bytes) -> list[bytes]:
        """Return the packets that `audio` completes."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, audio)

    def finish(self) -> list[bytes]:
        """Return what is left of the audio so far as a last packet, for a pause after it; encodes on this thread."""
        if not self._turn.acquire(blocking=False):
            return []  # more is coming
        try:
            return self._packets(self._cutter.finish())
        finally:
            self._turn.release()

    def clear(self) -> None:
        """Drop what is left of the audio so far."""
        self._cutter.clear()

    def _encode(self, audio: bytes) -> list[bytes]:
        with self._turn:
            return self._packets(self._cutter.cut(audio))

    def _packets(self, frames: list[bytes]) -> list[bytes]:
        return [bytes(packet) for frame in frames for packet in self._codec.encode(_frame(frame))]


def _codec() -> Any:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "mono", "s16"
    codec.bit_rate = _BITS_PER_SECOND
    # lowdelay: 2.5 ms of look-ahead instead of 6.5.
    codec.options = {"application": "lowdelay", "frame_duration": "20"}
    return codec


def _frame(samples: bytes) -> Any:
    frame: Any = av.AudioFrame.from_ndarray(np.frombuffer(samples, "<i2")[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    return frame
