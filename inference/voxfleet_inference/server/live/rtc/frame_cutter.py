"""Cuts a stream of samples into the frames that a codec takes.

Knows: 16-bit samples and the length of a frame. Does not know: codecs or clocks.
"""

from __future__ import annotations

from typing import Final

from voxfleet_inference.server.live.rtc.play_queue import FRAME_SAMPLES

FRAME_BYTES: Final = 2 * FRAME_SAMPLES


class FrameCutter:
    """Keeps what does not fill a frame until more follows."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, audio: bytes) -> list[bytes]:
        """Return the frames that `audio` completes."""
        audio = self._rest + audio
        end = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[end:]
        return [audio[at : at + FRAME_BYTES] for at in range(0, end, FRAME_BYTES)]

    def finish(self) -> list[bytes]:
        """Return the rest with silence behind it, as one frame; none when there is no rest."""
        rest, self._rest = self._rest, b""
        return [rest.ljust(FRAME_BYTES, b"\0")] if rest else []

    def clear(self) -> None:
        """Drop the rest."""
        self._rest = b""
