"""Decides how many rows are launched together after a launch ran out of memory.

Knows: how many rows fitted, and for how many steps that is believed. Pure.
Does not know: the model, its memory, what a row is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CAREFUL_STEPS: Final = 256  # steps in pieces after one ran out of memory; then all rows are tried together again


@dataclass(slots=True)
class BatchDivision:
    """The pieces of a batch: one, until memory runs out."""

    careful_steps: int = 0  # so many steps have at most `rows_that_fit` rows together
    rows_that_fit: int = 0

    def next_step(self, sequence_ids: list[int]) -> list[list[int]]:
        """Divide the rows of the next step."""
        self.careful_steps = max(0, self.careful_steps - 1)
        size = self.rows_that_fit if self.careful_steps else max(1, len(sequence_ids))
        return [sequence_ids[at : at + size] for at in range(0, len(sequence_ids), size)]

    def after_memory_ran_out(self, sequence_ids: list[int]) -> list[list[int]]:
        """Return rows that did not fit together as two halves; a single one is tried once more as it is."""
        if len(sequence_ids) == 1:
            return [sequence_ids]
        half = (len(sequence_ids) + 1) // 2
        self.careful_steps, self.rows_that_fit = CAREFUL_STEPS, half
        return [sequence_ids[:half], sequence_ids[half:]]
