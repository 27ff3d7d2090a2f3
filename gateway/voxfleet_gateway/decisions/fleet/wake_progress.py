"""How far a region's wake is: its parts in order, those that have ended, how long each took the last time. Pure.

Knows: which observation ends which part. The operator sees a pod get its node, its sandbox and its container; from the
container on the pods' own reports say it sooner, and a pod with an address has a sandbox, whatever the operator wrote.
Does not know: how a wake is shown; what a wake is decided by.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from voxfleet_gateway.regions import WakeEntry, WakeSeconds

# In the words of the resource's status.regions[].lastWake.
WakePart = Literal["node", "container", "image", "process", "weights", "warm_up"]
PARTS: tuple[WakePart, ...] = ("node", "container", "image", "process", "weights", "warm_up")
PodStage = Literal["address", "loading", "warming", "ready"]  # how far the foremost pod is
# Stage -> how many parts have ended.
ENDED_AT: dict[PodStage, int] = {"address": 2, "loading": 4, "warming": 5, "ready": 6}


@dataclass(frozen=True, slots=True)
class PartOfWake:
    """One part; `seconds`: how long it took in this wake, where its beginning and its end were observed."""

    name: WakePart
    state: Literal["done", "current", "pending"]
    seconds: float | None
    expected_seconds: float | None


def wake_parts(
    wake: WakeEntry | None, last: WakeSeconds | None, stages: Collection[PodStage], loaded_seconds: float | None = None
) -> tuple[PartOfWake, ...]:
    """Return the parts of the wake that is under way; `loaded_seconds`: of the weights, as a pod reports them."""
    observed = _milestones(wake)
    ended = max([sum(each is not None for each in observed[1:]), *(ENDED_AT[stage] for stage in stages)])
    seconds = [_between(begin, end) for begin, end in pairwise(observed)] + [None, loaded_seconds, None]
    return tuple(
        PartOfWake(
            name,
            "done" if index < ended else "current" if index == ended else "pending",
            seconds[index] if index < ended else None,
            getattr(last, name) if last is not None else None,
        )
        for index, name in enumerate(PARTS)
    )


def _milestones(wake: WakeEntry | None) -> list[datetime | None]:
    if wake is None:
        return [None] * 4
    return [wake.started_at, wake.scheduled_at, wake.sandbox_at, wake.container_at]


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round(max(0.0, (end - begin).total_seconds()), 2)
