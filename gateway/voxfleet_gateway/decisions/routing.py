"""Which region serves a request: filter, score, pick. Pure: standings and a request in, a decision with its reason out.

Knows: what depends on the client, and when a region that is awake is preferred to waiting for a wake.
Does not know: clocks, sockets, Kubernetes; what depends on the region alone (region_standing.py); which pod is used
(pods/balancing.py); how long a client should wait before it tries again (hold/wake_estimate.py).

The nearest region that can serve the client at all is its home; of regions that are about as near, one that is awake.
A region that is awake competes with home by score; a region that is asleep does not, so a request wakes its home and no
other region.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from voxfleet_gateway.decisions.hold.wake_estimate import estimate_seconds, retry_after_seconds
from voxfleet_gateway.decisions.region_standing import RegionStanding, wake_wait
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import DEFAULT_RULES, GatewayRules, Location

# A region that is asleep is nearer than one that is available only by more than this: less is not worth a GPU.
NEARER_SECONDS, NEARER_SHARE = 0.030, 0.15

RttSource = Literal["assumed", "distance", "measured"]  # assumed: the client's location is unknown


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What a decision needs to know of a request and of its model."""

    gateway_region: str
    client: Location | None = None
    client_country: str | None = None
    rtt_seconds: tuple[float, ...] = ()  # between the client and each region, in the order of the standings
    rtt_source: RttSource = "assumed"
    rules: GatewayRules = DEFAULT_RULES
    is_model_suspended: bool = False
    tenant: str = ""  # of the caller; empty without a key
    hops_left: int = 1  # 0: a gateway of another region has sent it, and no third one may serve it
    is_admitted: bool = False  # it is held already, or was sent before: a full hold queue is full for others


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


class RegionScore(NamedTuple):
    """One region's result: its score, or the filter that excluded it."""

    region: str
    score_seconds: float | None
    filtered_by: str | None


# Filter -> error code of the response. Where several apply, the first in this order is reported.
REFUSAL_BY_FILTER = {
    "failed": "region_failed",
    "hold-full": "too_many_waiting",
    "unreachable": "region_unreachable",
    "stale": "region_unreachable",
    "second-hop": "region_unreachable",
    "forbidden": "region_forbidden",
    "suspended": "suspended",
}
MODEL_SUSPENDED = "This model is suspended."
# Filter -> message of the response; `region` is the nearest one.
REFUSAL_MESSAGES = {
    "failed": "Region {region} could not wake: {failure}",
    "failed-unknown": "Region {region} could not wake: no reason was given.",
    "hold-full": "Region {region} is waking and no further request can wait for it.",
    "unreachable": "The regions of this model are not reachable from this gateway.",
    "stale": "Region {region} is not reachable: its gateway does not report.",
    "second-hop": "The regions of this model are not reachable from this gateway for another region's request.",
    "forbidden": "No region of this model may serve this client's country.",
    "suspended": "Every region of this model is suspended.",
    "no-region": "This model has no regions.",
}


def filter_hold_full(standing: RegionStanding, request: RouteRequest) -> str | None:
    """Exclude a region that cannot serve now and whose hold queue is full."""
    full = not standing.is_available and standing.view.free_places <= 0
    return "hold-full" if full and not request.is_admitted else None


# A region that is meant for this client: round trip, name, standing. Plain tuples, which sort by distance; the name
# breaks ties, so that a replay sorts as the recorded gateway did.
_Candidate = tuple[float, str, RegionStanding]


def decide(standings: Sequence[RegionStanding], request: RouteRequest) -> Decision:
    """Return whether to serve the request now, hold it for a wake, or refuse it, and in which region."""
    if request.is_model_suspended:
        return Decision("refuse", None, "suspended", message=MODEL_SUSPENDED)
    existing = _existing(standings, request)
    if not existing:
        return _refuse(None, standings, request)
    nearest = _nearest(existing) if request.rules.spill else min(existing)
    # One that is available is able: only where neither holds, the reason must be known.
    able = [each for each in existing if each[2].is_available or _unable_by(each[2], request) is None]
    if not request.rules.spill:
        able = [each for each in able if each is nearest]
    if not able:
        return _refuse(nearest[2].view, standings, request)
    home = _nearest(able)
    chosen = min([each for each in able if each[2].is_available or each is home], key=_by_score)[2]
    return Decision(
        action="serve" if chosen.is_available else "hold",
        region=chosen.view.name,
        route=_route(chosen, home[2], nearest[2]),
        wake=tuple(dict.fromkeys(each[1] for each in (nearest, home) if not each[2].view.is_awake)),
        wake_estimate_seconds=None if chosen.is_available else round(wake_wait(chosen.view), 1),
    )


def usable_regions(standings: Sequence[RegionStanding], request: RouteRequest) -> frozenset[str]:
    """Return the regions that are meant for this client, whatever their state."""
    return frozenset(name for _, name, _ in _existing(standings, request))


def explain(standings: Sequence[RegionStanding], request: RouteRequest) -> tuple[RegionScore, ...]:
    """Return each region's score, or why it has none: what the log says about a decision, in the standings' order."""
    rows = []
    for standing, rtt_seconds in zip(standings, request.rtt_seconds, strict=True):
        reason = _filtered_by(standing, request)
        # Six digits: enough to compare, and the log line stays short.
        score_seconds = None if reason else round(rtt_seconds + standing.wait_seconds, 6)
        rows.append(RegionScore(standing.view.name, score_seconds, reason))
    return tuple(rows)


def _existing(standings: Sequence[RegionStanding], request: RouteRequest) -> list[_Candidate]:
    country = request.client_country  # an unknown one is in no list
    return [
        (rtt_seconds, standing.name, standing)
        for standing, rtt_seconds in zip(standings, request.rtt_seconds, strict=True)
        if standing.excluded_by is None
        and (not standing.countries or country in standing.countries)
        and (request.hops_left or standing.hop_seconds is None)
    ]


def _nearest(candidates: Sequence[_Candidate]) -> _Candidate:
    first = min(candidates)
    if first[2].view.is_awake:
        return first
    farthest_seconds = first[0] + max(NEARER_SECONDS, NEARER_SHARE * first[0])
    return min((each for each in candidates if each[2].is_available and each[0] <= farthest_seconds), default=first)


def _unable_by(standing: RegionStanding, request: RouteRequest) -> str | None:
    return standing.unable_by or (None if standing.is_available else filter_hold_full(standing, request))


def _filtered_by(standing: RegionStanding, request: RouteRequest) -> str | None:
    if standing.excluded_by is None and standing.countries and request.client_country not in standing.countries:
        return "forbidden"
    if not request.hops_left and standing.excluded_by is None and standing.hop_seconds is not None:
        return "second-hop"
    return standing.excluded_by or _unable_by(standing, request)


def _by_score(candidate: _Candidate) -> tuple[float, str]:
    return candidate[0] + candidate[2].wait_seconds, candidate[1]


def _route(chosen: RegionStanding, home: RegionStanding, nearest: RegionStanding) -> str:
    """Return the short reason that is sent as Voxfleet-Route."""
    if chosen is not nearest and nearest is not home:
        return "failover"
    if chosen is not home:
        return "spill-load" if home.view.is_awake else "spill-wake"
    if chosen.is_available:
        return "nearest"
    if not chosen.view.is_awake:
        return "hold-wake"
    return "hold-circuit" if chosen.view.circuit_left_seconds > 0 else "hold-load"


def _refuse(nearest: RegionView | None, standings: Sequence[RegionStanding], request: RouteRequest) -> Decision:
    """Refuse with the reason of the nearest region; where none is meant for this client, with that of any region."""
    asked = [each for each in standings if nearest is None or each.view is nearest]
    reasons = {_filtered_by(standing, request) for standing in asked}
    reason = next((name for name in REFUSAL_BY_FILTER if name in reasons), "no-region")
    return Decision(
        action="refuse",
        region=nearest.name if nearest else None,
        route=reason,
        # Demand is what makes the operator try a failed wake again.
        wake=(nearest.name,) if nearest and reason == "failed" else (),
        message=_refusal_message(reason, nearest),
        retry_after_seconds=retry_after_seconds(estimate_seconds(reason, nearest)),
        wake_estimate_seconds=estimate_seconds(reason, nearest),
    )


def _refusal_message(reason: str, nearest: RegionView | None) -> str:
    if nearest is None:  # then no region is meant for this client, and no message names one
        return REFUSAL_MESSAGES[reason]
    words = REFUSAL_MESSAGES[reason if nearest.failure or reason != "failed" else "failed-unknown"]
    return words.format(region=nearest.name, failure=nearest.failure)
