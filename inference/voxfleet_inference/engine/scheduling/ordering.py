"""The order of work: least playback slack first.

Knows: what comes before slack: priority classes (in which long neglect counts as a higher class, so that nobody
starves) and the sentence that is heard next before those behind it.
Does not know: seats, memory or how many rows there are.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from voxfleet_inference.engine.scheduling.requests import Request
from voxfleet_inference.engine.sequences import Sequence

NEGLECT_SECONDS: Final = 10.0  # unserved for so long: one class higher

Urgency = tuple[int, bool, float, int]


class Standing(NamedTuple):
    """A sequence at the moment of a plan."""

    sequence: Sequence
    slack_seconds: float
    urgency: Urgency  # the least goes first
    is_in_the_way: bool  # an earlier sentence of its request waits for a seat


def standing(sequence: Sequence, request: Request, now: float) -> Standing:
    """Where a sequence stands."""
    slack = request.playback.slack(sequence.rank, now, sequence.patches_in_flight)
    neglect = int((now - sequence.served_at) / NEGLECT_SECONDS)
    is_behind = sequence.rank > request.next_heard
    urgency = (-sequence.priority - neglect, is_behind, slack, sequence.arrival)
    return Standing(sequence, slack, urgency, request.has_waiting_before(sequence.rank, sequence.sequence_id))
