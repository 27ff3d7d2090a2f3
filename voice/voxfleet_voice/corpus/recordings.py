"""Recordings of the teacher for the codec: audio, features and pitch steps, in shards of one file each.

Knows: a shard's content depends on its seed alone, so shards may be made in any order and by any number of processes.
Does not know: latents.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxfleet_voice.corpus.speaking import Speaking
from voxfleet_voice.teacher.grid import FRAMES_PER_SECOND, HOP_SAMPLES
from voxfleet_voice.teacher.hibari_voice import Floats
from voxfleet_voice.teacher.pitch import Periods
from voxfleet_voice.teacher.utterances import audio_of
from voxfleet_voice.training.files import write_atomically

_PCM: float = 32767.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance: `frames` latent frames, 1764 samples each."""

    audio: NDArray[np.int16]  # [frames x 1764]
    features: Floats  # [frames, 162]
    periods: Periods  # [frames]


def write_recordings(path: Path, seconds: float, seed: int, speaking: Speaking) -> None:
    """Let the teacher speak random texts for `seconds`, and keep them in one file."""
    source, made, frames = random.Random(seed), [], 0  # noqa: S311
    while frames < seconds * FRAMES_PER_SECOND:
        utterance = speaking.draw(source)
        made.append((utterance, (audio_of(utterance) * _PCM).astype(np.int16)))
        frames += len(utterance.periods)
    arrays = {
        "frames": np.array([len(utterance.periods) for utterance, _ in made]),
        "audio": np.concatenate([audio for _, audio in made]),
        "features": np.concatenate([utterance.features for utterance, _ in made]).astype(np.float16),
        "periods": np.concatenate([utterance.periods for utterance, _ in made]).astype(np.int8),
    }
    write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read_recordings(paths: list[Path]) -> list[Recording]:
    """Read shards."""
    return [recording for path in paths for recording in _read(path)]


def _read(path: Path) -> Iterator[Recording]:
    with np.load(path) as arrays:
        audio, features, periods = arrays["audio"], arrays["features"], arrays["periods"]
        stops = np.cumsum(arrays["frames"])
    for start, stop in zip([0, *stops[:-1]], stops, strict=True):
        yield Recording(
            audio[start * HOP_SAMPLES : stop * HOP_SAMPLES],
            features[start:stop].astype(np.float32),
            periods[start:stop].astype(np.int64),
        )
