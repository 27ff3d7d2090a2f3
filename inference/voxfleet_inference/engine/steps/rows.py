"""What the executor keeps of a registered sequence, and its noise.

Knows: one sentence, its slot, how many patches were launched.
Does not know: the model, other rows, when a step is launched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxfleet_inference.engine.messages import Float32Array, Sentence
from voxfleet_inference.engine.model_backend import SequenceCost
from voxfleet_inference.engine.steps.noise import NoiseKey


class TapeTooShortError(Exception):
    """A noise tape ended before its sentence."""


@dataclass(slots=True)
class Row:
    """A registered sequence; it has a slot once it is admitted."""

    sentence: Sentence
    cost: SequenceCost
    slot_index: int | None = None
    patches_launched: int = 0

    @property
    def slot(self) -> int:
        """The index of the slot of an admitted sequence."""
        assert self.slot_index is not None, "the scheduler admits a sequence before it plans a step for it"  # noqa: S101
        return self.slot_index

    @property
    def noise_key(self) -> NoiseKey:
        """What the seeded noise of the next patch depends on."""
        sentence = self.sentence
        return NoiseKey(sentence.seed, sentence.sentence_index, sentence.attempt, self.patches_launched)

    def noise_from_tape(self) -> Float32Array | None:
        """Return the next patch's noise [patch_size, feat_dim] of a sentence with a tape, None for seeded noise.

        Raises:
            TapeTooShortError: the tape has no such step.
        """
        tape, step = self.sentence.noise_tape, self.patches_launched
        if tape is None:
            return None
        if step >= len(tape):
            raise TapeTooShortError(f"the noise tape has {len(tape)} steps; step {step + 1} is needed")
        return np.asarray(tape[step], np.float32)
