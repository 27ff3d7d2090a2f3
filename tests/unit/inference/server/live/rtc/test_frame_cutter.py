from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.server.live.rtc.frame_cutter import FRAME_BYTES, FrameCutter


@given(st.lists(st.integers(0, 3 * FRAME_BYTES)))
def test_frames_are_the_audio_and_silence_at_its_end(lengths: list[int]) -> None:
    cutter = FrameCutter()
    parts = [bytes([1 + at % 255]) * length for at, length in enumerate(lengths)]
    frames = [frame for part in parts for frame in cutter.cut(part)] + cutter.finish()
    audio = b"".join(parts)
    assert {len(frame) for frame in frames} <= {FRAME_BYTES}
    assert b"".join(frames) == audio.ljust(len(frames) * FRAME_BYTES, b"\0")
    assert len(frames) * FRAME_BYTES - len(audio) < FRAME_BYTES
    assert cutter.finish() == []


def test_what_is_dropped_does_not_come_back() -> None:
    cutter = FrameCutter()
    assert cutter.cut(b"\x01" * 100) == []
    cutter.clear()
    assert cutter.finish() == []
