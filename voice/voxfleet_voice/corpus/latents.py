"""What the teacher has spoken as latents, for the language models: no audio is made.

Knows: that latents are stored as the language models see them, scaled by the basis' gains.
Does not know: tokens or patches.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxfleet_voice.codec.latent_basis import LatentBasis
from voxfleet_voice.corpus.speaking import Speaking
from voxfleet_voice.teacher.grid import FRAMES_PER_SECOND
from voxfleet_voice.training.files import write_atomically


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text with its latents and its alignment, one row per latent frame."""

    written: str
    latents: NDArray[np.float16]  # [frames, 32]
    phones: NDArray[np.uint8]  # [frames]
    pointers: NDArray[np.int16]  # [frames, 3], the character being spoken


def write_latents(path: Path, seconds: float, seed: int, speaking: Speaking, *, basis: LatentBasis) -> None:
    """Let the teacher speak random texts for `seconds`, and keep their latents in one file."""
    source, spoken, frames = random.Random(seed), [], 0  # noqa: S311
    while frames < seconds * FRAMES_PER_SECOND:
        utterance = speaking.draw(source)
        latents = basis.encode(utterance.features, utterance.periods) * basis.gains
        spoken.append(SpokenText(utterance.written, latents.astype(np.float16), utterance.phones, utterance.pointers))
        frames += len(latents)
    arrays = {
        "written": np.array([each.written for each in spoken]),
        "frames": np.array([len(each.latents) for each in spoken]),
        "latents": np.concatenate([each.latents for each in spoken]),
        "phones": np.concatenate([each.phones for each in spoken]),
        "pointers": np.concatenate([each.pointers for each in spoken]),
    }
    write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read_latents(paths: list[Path]) -> list[SpokenText]:
    """Read shards."""
    return [spoken for path in paths for spoken in _read(path)]


def _read(path: Path) -> Iterator[SpokenText]:
    with np.load(path) as arrays:
        latents, phones, pointers = arrays["latents"], arrays["phones"], arrays["pointers"]
        written, stops = arrays["written"], np.cumsum(arrays["frames"])
    for text, start, stop in zip(written, [0, *stops[:-1]], stops, strict=True):
        yield SpokenText(str(text), latents[start:stop], phones[start:stop], pointers[start:stop])
