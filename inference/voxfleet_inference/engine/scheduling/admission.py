"""Who sits down next: by urgency, as far as there are seats and memory.

One that does not fit lets smaller ones pass, so that seats do not stay empty for it, but only so many times: then
everybody waits until it fits, which happens, because whoever sits ends. Of one request an earlier sentence never
waits behind a later one, which would keep its memory until it is heard.

Knows: the order, the bound on one request's sentences, and how often somebody was overtaken.
Does not know: steps, prompts or clocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.scheduling.ordering import Candidate
from voxfleet_inference.engine.scheduling.slot_allocator import SlotAllocator

MAX_SKIPPED: Final = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """Who sits down where, and who was passed for it."""

    sequence_id: int
    slot: Slot
    skipped: tuple[int, ...]


def choose(candidates: Iterable[Candidate], allocator: SlotAllocator) -> Choice | None:
    """The most urgent one that fits; None when nobody may sit down now."""
    skipped: list[int] = []
    for each in sorted(candidates, key=lambda candidate_of: candidate_of.sort_key):
        sequence = each.sequence
        slot = allocator.allocate(sequence.cost.positions)
        if slot is not None:
            return Choice(sequence.sequence_id, slot, tuple(skipped))
        if sequence.skipped >= MAX_SKIPPED:
            return None
        skipped.append(sequence.sequence_id)
    return None
