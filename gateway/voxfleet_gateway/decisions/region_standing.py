"""What a region's state means for every client alike: whether it can serve, and how long a request waits there. Pure.

Knows: the filters and the scores, in seconds, that need nothing of a request, and the countries that its clients may
be in. They are evaluated once per view, however many requests are decided on it.
Does not know: clients, rules of a model (routing.py); how views are made (snapshot.py).
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from voxfleet_gateway.decisions.snapshot import RegionView

PRICE_SECONDS_PER_UNIT = 0.005  # latency that one unit of money per GPU-hour is worth
MIN_WAKE_REMAINING_SECONDS = 1.0  # an overdue wake may end at any moment; 0 would promise that it has


class RegionStanding(NamedTuple):
    """A view with what follows from it for any request."""

    name: str
    view: RegionView
    countries: tuple[str, ...]  # of clients that the region may serve; empty: of all
    excluded_by: str | None  # the region is not for this model's clients, whatever becomes of its pods
    unable_by: str | None  # it is, and can neither serve now nor be waited for
    wait_seconds: float  # from the request's arrival there to its first byte, and its price in seconds
    is_available: bool  # the view's, which is a property
    hop_seconds: float | None = None  # to the gateway that the region is behind; None: its pods are reached from here


Filter = Callable[[RegionView], str | None]
Score = Callable[[RegionView], float]


def filter_suspended(view: RegionView) -> str | None:
    """Exclude a suspended region."""
    return "suspended" if view.is_suspended else None


def filter_unreachable(view: RegionView) -> str | None:
    """Exclude a region of another cluster."""
    return None if view.is_reachable else "unreachable"


def filter_failed(view: RegionView) -> str | None:
    """Exclude a region whose wake failed, unless it has a servable pod by now."""
    return "failed" if view.failure is not None and not view.is_awake else None


def filter_stale(view: RegionView) -> str | None:
    """Exclude a region whose gateway has stopped reporting."""
    return "stale" if view.is_stale else None


EXCLUDING: tuple[Filter, ...] = (filter_suspended, filter_unreachable)
DISABLING: tuple[Filter, ...] = (filter_failed, filter_stale)


def queue_wait(view: RegionView) -> float:
    """Expected time until a row is free: a turn for each request beyond the rows, the new one included.

    How many there are is known up to `drift` and `spread`, since the reports are older than the newest arrivals; the
    expected excess of a normal distribution counts the states in which the rows are full.
    """
    if view.rows == 0:
        return 0.0
    excess = view.running + view.waiting + view.drift + 1 - view.rows
    turn_seconds = view.service_seconds / view.rows  # between two rows becoming free when all are taken
    return turn_seconds * _expected_excess(excess, view.spread)


def _expected_excess(mean: float, deviation: float) -> float:
    """Return the mean of max(0, X) for a normal X."""
    if deviation <= 0:
        return max(0.0, mean)
    ratio = mean / deviation
    density = math.exp(-ratio * ratio / 2) / math.sqrt(2 * math.pi)
    return deviation * density + mean * 0.5 * (1 + math.erf(ratio / math.sqrt(2)))


def wake_wait(view: RegionView) -> float:
    """Expected time until the region is awake, 0 when it is."""
    if view.is_awake:
        return 0.0
    return max(MIN_WAKE_REMAINING_SECONDS, view.predicted_wake_seconds - view.wake_elapsed_seconds)


def circuit_wait(view: RegionView) -> float:
    """Time until one request may try a region whose pods all fail."""
    return view.circuit_left_seconds


def price(view: RegionView) -> float:
    """Price of the region, converted to seconds."""
    return view.price_per_gpu_hour * PRICE_SECONDS_PER_UNIT


SCORES: tuple[Score, ...] = (queue_wait, wake_wait, circuit_wait, price)


def stand(view: RegionView) -> RegionStanding:
    """Evaluate every filter and score of the view."""
    wait_seconds = 0.0
    for part in SCORES:  # not sum(), which rounds differently since Python 3.12
        wait_seconds += part(view)
    return RegionStanding(
        view.name,
        view,
        view.allowed_countries,
        _first(EXCLUDING, view),
        _first(DISABLING, view),
        wait_seconds,
        is_available=view.is_available,
        hop_seconds=view.hop_seconds if view.is_remote else None,
    )


def stand_all(views: Iterable[RegionView]) -> tuple[RegionStanding, ...]:
    """Evaluate all views of a model."""
    return tuple(map(stand, views))


def _first(filters: tuple[Filter, ...], view: RegionView) -> str | None:
    for check in filters:
        if (reason := check(view)) is not None:
            return reason
    return None
