from __future__ import annotations

import numpy as np
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.audio.recordings import RecordingError, read_recording

RATE = 44100


def recorded(seconds: float, name: str = "wav") -> bytes:
    encoder = make_encoder(FORMATS[name], RATE, RATE)
    tone = (0.3 * np.sin(np.arange(int(seconds * RATE)) * 0.05)).astype(np.float32)
    return encoder.encode(tone) + encoder.finish()


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "aac"])
def test_a_recording_keeps_its_rate_and_length(name: str) -> None:
    recording = read_recording(recorded(2.0, name))
    assert recording.sample_rate == RATE
    assert recording.samples.dtype == np.float32
    assert abs(recording.seconds - 2.0) < 0.06
    assert abs(float(np.sqrt(np.mean(recording.samples**2))) - 0.3 / np.sqrt(2)) < 0.02


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0.5, "0.50 s long; the limits are 1 to 30 s"), (33.0, "longer than 30 s; the limits are 1 to 30 s")],
)
def test_a_recording_out_of_bounds_is_rejected_with_the_limits(seconds: float, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        read_recording(recorded(seconds))


@pytest.mark.parametrize("data", [b"", b"no sound at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_file_without_audio_is_rejected(data: bytes) -> None:
    with pytest.raises(RecordingError, match="no audio file"):
        read_recording(data)
