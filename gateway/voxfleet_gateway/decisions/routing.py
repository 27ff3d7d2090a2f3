"""Which region serves a request: filter, score, pick. Pure: region views and a request in, a decision with reasons out.

Knows: the order of the filters, the scores in seconds, when a region that is awake is preferred to waiting for a wake.
Does not know: clocks, sockets, Kubernetes; how the views are made (snapshot.py); which pod is used (balancing.py).

The nearest region that can serve the client at all is its home. A region that is awake competes with home by score;
a region that is asleep does not, so a request wakes its home and no other region.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from voxfleet_gateway.decisions.client_location import PRIOR_SECONDS, Location, expected_rtt_seconds
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import DEFAULT_RULES, GatewayRules

PRICE_SECONDS_PER_UNIT = 0.005  # latency that one unit of money per GPU-hour is worth
RETRY_AFTER_MAX_SECONDS = 60  # OpenAI's clients ignore a larger Retry-After
DEFAULT_RETRY_AFTER_SECONDS = 10
MIN_WAKE_REMAINING_SECONDS = 1.0  # an overdue wake may end at any moment; 0 would promise that it has


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What a decision needs to know of a request and of its model."""

    gateway_region: str
    client: Location | None = None
    client_country: str | None = None
    rules: GatewayRules = DEFAULT_RULES
    is_model_suspended: bool = False
    tenant: str = ""  # of the caller; empty without a key
    is_admitted: bool = False  # it is held already, or was sent before: a full hold queue is full for others


class RegionScore(NamedTuple):
    """One region's result: its score, or the filter that excluded it."""

    region: str
    score_seconds: float | None
    filtered_by: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with the request, and why."""

    action: Literal["serve", "hold", "refuse"]
    region: str | None
    route: str  # the short reason, sent as Voxfleet-Route
    wake: tuple[str, ...] = ()
    message: str = ""
    retry_after_seconds: int | None = None
    wake_estimate_seconds: float | None = None
    scores: tuple[RegionScore, ...] = ()


Filter = Callable[[RegionView, RouteRequest], str | None]
Score = Callable[[RegionView, RouteRequest], float]


def filter_suspended(view: RegionView, _request: RouteRequest) -> str | None:
    """Exclude a suspended region."""
    return "suspended" if view.is_suspended else None


def filter_forbidden(view: RegionView, request: RouteRequest) -> str | None:
    """Exclude a region whose list of countries lacks the client's; an unknown country is in no list."""
    if not view.allowed_countries or request.client_country in view.allowed_countries:
        return None
    return "forbidden"


def filter_unreachable(view: RegionView, _request: RouteRequest) -> str | None:
    """Exclude a region of another cluster."""
    return None if view.is_reachable else "unreachable"


def filter_failed(view: RegionView, _request: RouteRequest) -> str | None:
    """Exclude a region whose wake failed, unless it has a servable pod by now."""
    return "failed" if view.failure is not None and not view.is_awake else None


def filter_hold_full(view: RegionView, request: RouteRequest) -> str | None:
    """Exclude a region that cannot serve now and whose hold queue is full."""
    full = not view.is_available and view.held >= request.rules.max_held_requests
    return "hold-full" if full and not request.is_admitted else None


FILTERS: tuple[Filter, ...] = (
    filter_suspended,
    filter_forbidden,
    filter_unreachable,
    filter_failed,
    filter_hold_full,
)

# These exclude a region for this client, whatever becomes of its pods.
NEVER_FILTERS = frozenset({"suspended", "forbidden", "unreachable"})

# Filter -> error code of the response. Where several apply, the first in this order is reported.
REFUSAL_BY_FILTER = {
    "failed": "region_failed",
    "hold-full": "too_many_waiting",
    "unreachable": "region_unreachable",
    "forbidden": "region_forbidden",
    "suspended": "suspended",
}


def network_rtt(view: RegionView, request: RouteRequest) -> float:
    """Round trip between client and region; a client without a location is assumed to be at this gateway."""
    if request.client is None and view.name == request.gateway_region:
        return PRIOR_SECONDS
    return expected_rtt_seconds(request.client, view.location)


def queue_wait(view: RegionView, _request: RouteRequest) -> float:
    """Expected time until a row is free.

    Below saturation Sakasegawa's approximation for the M/M/c queue (Queueing Systems, 1977), never more than the wait
    when the last row is taken; at saturation one turn per waiting sequence.
    """
    if view.rows == 0:
        return 0.0
    turn_seconds = view.service_seconds / view.rows  # between two rows becoming free when all are taken
    if view.running >= view.rows:
        return (view.waiting + 1) * turn_seconds
    load = view.running / view.rows
    return turn_seconds * min(1.0, math.pow(load, math.sqrt(2 * (view.rows + 1))) / (1 - load))


def wake_wait(view: RegionView, _request: RouteRequest) -> float:
    """Expected time until the region is awake, 0 when it is."""
    if view.is_awake:
        return 0.0
    return max(MIN_WAKE_REMAINING_SECONDS, _wake_left(view))


def price(view: RegionView, _request: RouteRequest) -> float:
    """Price of the region, converted to seconds."""
    return view.price_per_gpu_hour * PRICE_SECONDS_PER_UNIT


SCORES: tuple[Score, ...] = (network_rtt, queue_wait, wake_wait, price)


OTHER_SCORES = SCORES[1:]  # the round trip is needed for the distance too, and is evaluated once


def score(view: RegionView, request: RouteRequest) -> float:
    """Return the expected time to the first byte, in seconds."""
    total_seconds = 0.0
    for part in SCORES:  # not sum(), which rounds differently since Python 3.12
        total_seconds += part(view, request)
    return total_seconds


def filtered_by(view: RegionView, request: RouteRequest) -> str | None:
    """Return the first filter that excludes the region, or None."""
    for check in FILTERS:
        if (reason := check(view, request)) is not None:
            return reason
    return None


# A region that exists for this client: round trip, name, score or None when it is filtered, view. Plain tuples, which
# sort by distance; the name breaks ties, so that a replay sorts as the recorded gateway did.
_Candidate = tuple[float, str, float | None, RegionView]


def decide(views: Sequence[RegionView], request: RouteRequest) -> Decision:
    """Return whether to serve the request now, hold it for a wake, or refuse it, and in which region."""
    scores, existing = _evaluate(views, request)
    if request.is_model_suspended:
        return Decision("refuse", None, "suspended", message="This model is suspended.", scores=scores)
    able = [each for each in existing if each[2] is not None]
    if not request.rules.spill:
        able = [each for each in able if each is existing[0]]
    if not able:
        return _refuse(existing[0][3] if existing else None, scores)
    home, nearest = able[0][3], existing[0][3]
    candidates = able[:1] + [each for each in able[1:] if each[3].is_available]
    chosen = min(candidates, key=_by_score)[3]
    return Decision(
        action="serve" if chosen.is_available else "hold",
        region=chosen.name,
        route=_route(chosen, home, nearest),
        wake=tuple(dict.fromkeys(view.name for view in (nearest, home) if not view.is_awake)),
        wake_estimate_seconds=None if chosen.is_available else round(wake_wait(chosen, request), 1),
        scores=scores,
    )


def _evaluate(views: Sequence[RegionView], request: RouteRequest) -> tuple[tuple[RegionScore, ...], list[_Candidate]]:
    """Return every region's result, and by distance those that are meant for this client, whatever their state."""
    rows: list[tuple[str, float | None, str | None]] = []
    existing: list[_Candidate] = []
    for view in views:
        reason = filtered_by(view, request)
        total_seconds = None
        if reason is None or reason not in NEVER_FILTERS:
            rtt_seconds = network_rtt(view, request)
            if reason is None:
                total_seconds = rtt_seconds
                for part in OTHER_SCORES:
                    total_seconds += part(view, request)
            existing.append((rtt_seconds, view.name, total_seconds, view))
        # Six digits: enough to compare, and the log line stays short.
        rows.append((view.name, None if total_seconds is None else round(total_seconds, 6), reason))
    existing.sort(key=_by_distance)
    return tuple(map(RegionScore._make, rows)), existing


def _by_distance(candidate: _Candidate) -> tuple[float, str]:
    return candidate[:2]


def _by_score(candidate: _Candidate) -> tuple[float | None, str]:
    return candidate[2], candidate[1]


def _route(chosen: RegionView, home: RegionView, nearest: RegionView) -> str:
    """Return the short reason that is sent as Voxfleet-Route."""
    if chosen is not nearest and nearest is not home:
        return "failover"
    if chosen is not home:
        return "spill-load" if home.is_awake else "spill-wake"
    if chosen.is_available:
        return "nearest"
    return "hold-load" if chosen.is_awake else "hold-wake"


def _refuse(nearest: RegionView | None, scores: tuple[RegionScore, ...]) -> Decision:
    """Refuse with the reason of the nearest region; where none is meant for this client, with that of any region."""
    reasons = {row.filtered_by for row in scores if nearest is None or row.region == nearest.name}
    reason = next((name for name in REFUSAL_BY_FILTER if name in reasons), "no-region")
    return Decision(
        action="refuse",
        region=nearest.name if nearest else None,
        route=reason,
        # Demand is what makes the operator try a failed wake again.
        wake=(nearest.name,) if nearest and reason == "failed" else (),
        message=_refusal_message(reason, nearest),
        retry_after_seconds=_retry_after(nearest),
        wake_estimate_seconds=_estimate(reason, nearest),
        scores=scores,
    )


def _refusal_message(reason: str, nearest: RegionView | None) -> str:
    where = f"Region {nearest.name}" if nearest else "This model"
    if reason == "failed" and nearest is not None:
        return f"{where} could not wake: {nearest.failure or 'no reason was given'}"
    return {
        "hold-full": f"{where} is waking and no further request can wait for it.",
        "unreachable": "The regions of this model are not reachable from this gateway.",
        "forbidden": "No region of this model may serve this client's country.",
        "suspended": "Every region of this model is suspended.",
    }.get(reason, "This model has no regions.")


def _estimate(reason: str, nearest: RegionView | None) -> float | None:
    """Return the seconds until a new request may succeed, not bounded as Retry-After is; None when unknown."""
    if nearest is None or nearest.is_awake:
        return None
    waits = {"failed": nearest.retry_after_seconds, "hold-full": max(MIN_WAKE_REMAINING_SECONDS, _wake_left(nearest))}
    return waits.get(reason)


def _wake_left(view: RegionView) -> float:
    return view.predicted_wake_seconds - view.wake_elapsed_seconds


def _retry_after(nearest: RegionView | None) -> int:
    if nearest is None:
        return RETRY_AFTER_MAX_SECONDS
    wanted = nearest.retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS
    return max(1, min(RETRY_AFTER_MAX_SECONDS, math.ceil(wanted)))
