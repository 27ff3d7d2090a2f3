"""The scheduling policy: the order of sequences, which one is admitted, which ones are parked.

Order. A higher priority first, where a long time without work counts as a higher priority, so that no sequence
starves; then the sentence that its client plays next; then the least playback slack.

Admission. The first sequence in that order for which a slot and enough KV positions are free. One that does not fit
is skipped for smaller ones, so that slots do not stay empty, but at most MAX_SKIPPED times; then no other is admitted
before it. It will fit, because every sequence with a slot ends.

Parking. Rows are filled in order, so a sequence far ahead of its client never takes a row from one that is short of
audio; but each row makes the step longer. While any sequence is short of audio, those far ahead are parked. They resume
before they run short themselves. When none is short, all of them run: an empty row gains nothing.
A sequence that blocks an earlier one of its own request is never parked. That earlier one is a retry: it may need the
KV positions that later sentences hold, and those are not read before it was played, so if they were parked, each would
wait for the other for ever. They run to their ends, which are bounded.

Knows: priority, slack, what each sequence needs and how often it was skipped.
Does not know: clocks (moments are arguments), steps or prompts. Nothing is changed here: the scheduler applies it.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.engine.scheduling.sequences import Sequence
from voxfleet_inference.engine.scheduling.slot_allocator import SlotAllocator
from voxfleet_inference.engine.scheduling.states import Event, State

AGING_SECONDS: Final = 10.0  # without work for so long: one priority higher
MAX_SKIPPED: Final = 16
_CAN_RUN_SHORT: Final = frozenset({State.PREFILLING, State.RUNNING})

SortKey = tuple[int, bool, float, int]


class Candidate(NamedTuple):
    """A sequence that could get a slot or a row, with what decides its order."""

    sequence: Sequence
    slack_seconds: float
    sort_key: SortKey  # the least goes first; no two are equal
    blocks_earlier: bool  # an earlier sequence of its request waits for a slot


class Admission(NamedTuple):
    """The sequence to admit, its slot, and those before it that did not fit."""

    sequence: Sequence
    slot: Slot
    skipped: tuple[Sequence, ...]


def in_order(sequences: Iterable[Sequence], now: float) -> list[Candidate]:
    """The sequences as candidates, the most urgent first."""
    return sorted((_candidate(each, now) for each in sequences), key=attrgetter("sort_key"))


def choose_admission(candidates: Iterable[Candidate], allocator: SlotAllocator) -> Admission | None:
    """The first candidate that fits, its slot taken; None when no sequence may be admitted now."""
    skipped: list[Sequence] = []
    for sequence, *_ in candidates:
        slot = allocator.allocate(sequence.cost.positions)
        if slot is not None:
            return Admission(sequence, slot, tuple(skipped))
        if sequence.skipped >= MAX_SKIPPED:
            return None
        skipped.append(sequence)
    return None


def choose_parking(candidates: list[Candidate], limits: Limits, step_seconds: float) -> list[tuple[Sequence, Event]]:
    """Which sequences to park and which to resume; `step_seconds` pass until a decision has effect."""
    is_any_short = any(_is_short(each, limits) for each in candidates)
    decisions: list[tuple[Sequence, Event]] = []
    for each in candidates:
        if _should_park(each, limits, is_any_short=is_any_short):
            decisions.append((each.sequence, Event.PARK))
        elif _should_resume(each, limits, step_seconds, is_any_short=is_any_short):
            decisions.append((each.sequence, Event.RESUME))
    return decisions


def _candidate(sequence: Sequence, now: float) -> Candidate:
    request, rank = sequence.request, sequence.params.rank
    slack = request.playback.slack(rank, now, sequence.patches_planned - sequence.patches_made)
    aging = int((now - sequence.served_at) / AGING_SECONDS)
    sort_key = (-sequence.params.priority - aging, rank > request.next_played, slack, sequence.arrival)
    blocks_earlier = bool(request.waiting) and request.waiting[0].text_order < sequence.text_order
    return Candidate(sequence, slack, sort_key, blocks_earlier)


def _is_short(each: Candidate, limits: Limits) -> bool:
    return each.sequence.state in _CAN_RUN_SHORT and each.slack_seconds < limits.resume_below_seconds


def _should_park(each: Candidate, limits: Limits, *, is_any_short: bool) -> bool:
    if each.sequence.state is not State.RUNNING or each.blocks_earlier:
        return False
    is_far_ahead = each.slack_seconds > limits.park_above_seconds
    return each.sequence.is_unread or (is_far_ahead and is_any_short)


def _should_resume(each: Candidate, limits: Limits, step_seconds: float, *, is_any_short: bool) -> bool:
    if each.sequence.state is not State.PARKED:
        return False
    if each.blocks_earlier or each.sequence.is_unread:
        return each.blocks_earlier
    # Two steps: the one that is launched now may have to wait for the one in flight.
    return not is_any_short or each.slack_seconds <= limits.resume_below_seconds + 2 * step_seconds
