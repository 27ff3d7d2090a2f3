"""hibari's acoustic model as a source of parameters: spectral envelopes, pitch and exact durations, but no audio.

Knows: which outputs of hibari.onnx hold what, and the one that the package does not export: the durations.
Does not know: the latent grid, or how parameters become sound.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_DURATIONS_OUTPUT = "/Clip_output_0"  # in units of 25 ms, one per phoneme id
_FRAMES_PER_DURATION = 2


@dataclass(frozen=True, slots=True)
class Parameters:
    """Speech as hibari predicts it, one row per 12.5 ms."""

    harmonic: Floats  # [rows, 601], log magnitude of the harmonic filter, 20 Hz a bin
    noise: Floats  # [rows, 601], log magnitude of the noise
    pitch_hz: Floats  # [rows], near 0 where unvoiced

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.pitch_hz)

    def rows(self, start: int, stop: int) -> Parameters:
        """Return a part."""
        return Parameters(self.harmonic[start:stop], self.noise[start:stop], self.pitch_hz[start:stop])


class HibariVoice:
    """Phonemes of a text, and the parameters that hibari predicts for them."""

    def __init__(self, folder: Path) -> None:
        """Keep the model with durations in `folder`; it is made there on first use."""
        from hibari import Hibari  # noqa: PLC0415 - whatever needs no speech runs where hibari is not installed

        self._hibari = Hibari(model=str(_with_durations(folder)))
        self.phoneme_ids: dict[str, int] = self._hibari.vocab

    def phonemes(self, text: str) -> str | None:
        """Return the phonemes of one sentence, or None where hibari would split it or lacks a symbol."""
        found = self._hibari.phonemize(text)
        if len(found) != 1 or any(symbol not in self.phoneme_ids for symbol in found[0]):
            return None
        return str(found[0])

    def parameters(self, phonemes: str) -> tuple[Parameters, NDArray[np.int64]]:
        """Return the parameters, and the rows that each phoneme id takes: [len(phonemes) + 2], a pad at both ends."""
        ids = np.asarray([self._hibari.ids(phonemes)], np.int64)
        outputs = self._hibari.sess.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        harmonic, _, noise, residual, _, pitch_hz = (each[0] for each in outputs[:6])
        both_noises = np.logaddexp(2 * noise, 2 * residual) / 2
        durations = np.round(outputs[6].ravel()).astype(np.int64) * _FRAMES_PER_DURATION
        return Parameters(harmonic.T, both_noises.T, pitch_hz), durations


def _with_durations(folder: Path) -> Path:
    """Return hibari's model with its durations as a seventh output."""
    import onnx  # noqa: PLC0415 - needed once

    path = folder / "hibari_with_durations.onnx"
    if not path.exists():
        model = onnx.load_model_from_string((files("hibari") / "assets" / "hibari.onnx").read_bytes())
        model.graph.output.append(onnx.ValueInfoProto(name=_DURATIONS_OUTPUT))
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(model.SerializeToString())
        temporary.replace(path)
    return path
