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

from voxfleet_inference.engine.scheduling.ordering import Standing
from voxfleet_inference.engine.scheduling.seating import Seating
from voxfleet_inference.engine.speech_model import Seat

MAX_OVERTAKEN: Final = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """Who sits down where, and who was passed for it."""

    sequence_id: int
    seat: Seat
    overtaken: tuple[int, ...]


def choose(candidates: Iterable[Standing], seating: Seating) -> Choice | None:
    """The most urgent one that fits; None when nobody may sit down now."""
    overtaken: list[int] = []
    for each in sorted(candidates, key=lambda standing: standing.urgency):
        sequence = each.sequence
        seat = seating.take(sequence.measured.positions)
        if seat is not None:
            return Choice(sequence.sequence_id, seat, tuple(overtaken))
        if sequence.overtaken >= MAX_OVERTAKEN:
            return None
        overtaken.append(sequence.sequence_id)
    return None
