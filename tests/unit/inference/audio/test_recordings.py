from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile
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


def wav_of(*channels: Any) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, np.stack(channels, axis=1), RATE, format="WAV", subtype="PCM_16")
    return written.getvalue()


AT = np.arange(2 * RATE) * 0.05
SINE = 0.3 * np.sin(AT)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ((0 * AT,), "silent: its level is -120 dB of full scale, and speech needs -60"),
        ((0.001 * SINE,), "silent: its level is -7"),
        ((SINE, -SINE), "silent: its level is -"),
        ((np.clip(20 * np.sin(AT), -1, 1),), r"clipped: 9\d\.\d% of its samples are at full scale, and at most 1% may"),
        ((np.clip(1.01 * np.sin(AT), -1, 1), 0 * AT), r"clipped: \d\.\d% of its samples"),
    ],
)
def test_a_silent_or_clipped_recording_is_rejected_with_its_level(channels: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        read_recording(wav_of(*channels))


@pytest.mark.parametrize(
    "channels", [(0.02 * SINE,), (3.3 * SINE,), (SINE, 0 * AT), (np.where(AT % 60 < 15, SINE, 0),)]
)
def test_quiet_loud_and_one_sided_recordings_are_used(channels: tuple[Any, ...]) -> None:
    assert read_recording(wav_of(*channels)).seconds == 2.0


@pytest.mark.parametrize("data", [b"", b"no sound at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_file_without_audio_is_rejected(data: bytes) -> None:
    with pytest.raises(RecordingError, match="no audio file"):
        read_recording(data)
