"""The order of work: least playback slack first.

Knows: what comes before slack: priority classes (in which long neglect counts as a higher class, so that nobody
starves) and the sentence that is heard next before those behind it.
Does not know: seats, memory or how many rows there are.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from voxfleet_inference.engine.scheduling.requests import Request
from voxfleet_inference.engine.sequences import Sequence

AGING_SECONDS: Final = 10.0  # unserved for so long: one class higher

SortKey = tuple[int, bool, float, int]


class Candidate(NamedTuple):
    """A sequence at the moment of a plan."""

    sequence: Sequence
    slack_seconds: float
    sort_key: SortKey  # the least goes first
    blocks_earlier: bool  # an earlier sentence of its request waits for a seat


def candidate_of(sequence: Sequence, request: Request, now: float) -> Candidate:
    """Where a sequence stands."""
    slack = request.playback.slack(sequence.rank, now, sequence.patches_in_flight)
    aging = int((now - sequence.served_at) / AGING_SECONDS)
    is_behind = sequence.rank > request.next_played
    sort_key = (-sequence.priority - aging, is_behind, slack, sequence.arrival)
    return Candidate(sequence, slack, sort_key, request.has_waiting_before(sequence.rank, sequence.sequence_id))
