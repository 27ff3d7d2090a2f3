"""Answers that the sweeps give: the idle timeout that is worth its money, and what 100 ms of start delay cost.

Pure: points in, answers out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from voxfleet_simulation.results.study import SweepPoint

HUNDRED_MS = 0.1


@dataclass(frozen=True, slots=True)
class IdleAnswer:
    """The best idle timeouts.

    `cheapest_seconds`: by the machines alone; `break_even_seconds`: with clients' waiting at its price.
    `price_per_hour_waited`: for each step of the sweep, what the longer timeout costs per hour of waiting that it
    saves; None where it saves none.
    """

    cheapest_seconds: float
    break_even_seconds: float
    price_per_hour_waited: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True)
class PriceAnswer:
    """Between the least and the greatest weight of prices: the money that 100 ms more of mean start delay save."""

    delay_seconds: float
    money: float
    money_per_hundred_ms: float | None  # of the whole run; None when the delay does not grow
    money_per_million_requests: float | None  # the same, per million requests


def idle_answer(points: Sequence[SweepPoint], waiting_price_per_hour: float) -> IdleAnswer | None:
    """Return the best timeouts of a sweep, or None without one."""
    if not points:
        return None
    ordered = sorted(points, key=lambda point: point.value)

    def cost(point: SweepPoint) -> float:
        return point.statistics.money + waiting_price_per_hour * point.statistics.held_hours

    steps = []
    for shorter, longer in pairwise(ordered):
        saved_hours = shorter.statistics.held_hours - longer.statistics.held_hours
        more = longer.statistics.money - shorter.statistics.money
        steps.append((longer.value, more / saved_hours if saved_hours > 0 else None))
    return IdleAnswer(
        min(ordered, key=lambda point: (point.statistics.money, point.value)).value,
        min(ordered, key=lambda point: (cost(point), point.value)).value,
        tuple(steps),
    )


def price_answer(points: Sequence[SweepPoint]) -> PriceAnswer | None:
    """Return what a sweep of the price weight says, or None without one."""
    if not points:
        return None
    ordered = sorted(points, key=lambda point: point.value)
    first, last = ordered[0].statistics, ordered[-1].statistics
    more_seconds, less_money = last.all.mean - first.all.mean, first.money - last.money
    per_step = less_money / more_seconds * HUNDRED_MS if more_seconds > 0 else None
    per_million = None if per_step is None or not first.requests else per_step / first.requests * 1e6
    return PriceAnswer(more_seconds, less_money, per_step, per_million)
