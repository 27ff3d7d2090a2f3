"""Who makes way: listeners that are far ahead, while others run short.

A step is filled by urgency, so whoever is far ahead never takes a row from somebody who is not; but each row makes
the step longer. So the far ahead are parked while anybody is short of audio, come back before they are short
themselves, and otherwise run on: nothing is gained by a row that stays empty.

Who is in the way is never parked. A sentence that is said again may find its memory in the hands of later ones of its
own text, which nobody reads before it was heard: were they parked, each would wait for the other. They run to their
ends instead, which are bounded, and so whoever sits ends unless its listener stopped listening.

Knows: slack, who asked not to be served (a reader who does not read), and whom an earlier sentence waits for.
Does not know: order, rows or memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from voxfleet_inference.engine.scheduling.ordering import Candidate
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.engine.sequences import Event, State

_CAN_RUN_SHORT = frozenset({State.PREFILLING, State.RUNNING})


def parking(candidates: Iterable[Candidate], limits: Limits, step_seconds: float) -> Iterator[tuple[int, Event]]:
    """Who is to park and who is to come back; `step_seconds` is how long it takes until a decision has effect."""
    candidates = tuple(candidates)
    is_any_short = any(_is_short(each, limits) for each in candidates)
    for each in candidates:
        if _should_park(each, limits, is_any_short=is_any_short):
            yield each.sequence.sequence_id, Event.PARK
        elif _should_resume(each, limits, step_seconds, is_any_short=is_any_short):
            yield each.sequence.sequence_id, Event.RESUME


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
