"""Which region answers a request: filter, score, pick. Pure: snapshot and request in, a decision with its reasons out.

Knows: the order of the filters, the scores in seconds, when another region's answer beats waiting for a wake.
Does not know: clocks, sockets, Kubernetes; how the snapshot came about; which pod of the region gets the request.

The nearest region that can serve the client at all is its home. A region that is awake competes with home by score;
a region that sleeps never does, so a request wakes its home and nobody else's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from voxfleet_gateway.decisions.client_location import PRIOR_SECONDS, Location, expected_rtt_seconds

PRICE_SECONDS_PER_UNIT = 0.005  # what one unit of money per GPU-hour is worth in a listener's time
RETRY_AFTER_MAX_SECONDS = 60  # clients ignore more
MIN_WAKE_REMAINING_SECONDS = 1.0  # a wake that is overdue may still end at any moment


@dataclass(frozen=True, slots=True)
class RegionView:
    """One region of the asked model, as seen at the moment of deciding."""

    name: str
    location: Location | None = None
    reachable: bool = True
    suspended: bool = False
    allowed_countries: tuple[str, ...] = ()
    failure: str | None = None  # why the region can't serve, when it can't
    retry_after_seconds: float | None = None
    price_per_gpu_hour: float = 0.0
    ready_pods: int = 0
    rows: int = 0  # rows in all ready pods
    running: int = 0  # rows in use, own requests since the pods' last report included
    waiting: int = 0  # sequences beyond the rows
    free_requests: int = 0  # further requests this gateway may send there now
    service_seconds: float = 2.0  # mean time of one request
    falling_asleep: bool = False  # the operator has marked it asleep: renew its Lease before anything else
    wake_elapsed_seconds: float = 0.0
    predicted_wake_seconds: float = 30.0
    held: int = 0

    @property
    def awake(self) -> bool:
        """Whether a request sent there now is answered without waking anything."""
        return self.ready_pods > 0 and not self.falling_asleep

    @property
    def serves_now(self) -> bool:
        """Awake and not full."""
        return self.awake and self.free_requests > 0


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What the decision needs to know of a request and its model."""

    gateway_region: str
    client: Location | None = None
    client_country: str | None = None
    spill: bool = True
    max_held_requests: int = 256
    model_suspended: bool = False


@dataclass(frozen=True, slots=True)
class RegionScore:
    """What became of one region: its score, or why it was left out."""

    region: str
    score_seconds: float | None
    filtered_by: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the request, and why."""

    action: Literal["serve", "hold", "refuse"]
    region: str | None
    route: str  # the short reason, sent as Voxfleet-Route
    wake: tuple[str, ...] = ()
    message: str = ""
    retry_after_seconds: int | None = None
    wake_estimate_seconds: float | None = None
    scores: tuple[RegionScore, ...] = ()


Filter = Callable[[RegionView, RouteRequest], str | None]


def filter_suspended(view: RegionView, _request: RouteRequest) -> str | None:
    """A suspended region serves nobody."""
    return "suspended" if view.suspended else None


def filter_forbidden(view: RegionView, request: RouteRequest) -> str | None:
    """A region with a list of countries serves only these; a client of unknown country is in none of them."""
    if not view.allowed_countries or request.client_country in view.allowed_countries:
        return None
    return "forbidden"


def filter_unreachable(view: RegionView, _request: RouteRequest) -> str | None:
    """A region of another cluster, whose gateway is not connected."""
    return None if view.reachable else "unreachable"


def filter_failed(view: RegionView, _request: RouteRequest) -> str | None:
    """A region that tried to wake and could not."""
    return "failed" if view.failure is not None and not view.awake else None


def filter_hold_full(view: RegionView, request: RouteRequest) -> str | None:
    """Nobody to serve now and no place left to wait."""
    full = not view.serves_now and view.held >= request.max_held_requests
    return "hold-full" if full else None


FILTERS: tuple[Filter, ...] = (
    filter_suspended,
    filter_forbidden,
    filter_unreachable,
    filter_failed,
    filter_hold_full,
)

REFUSAL_BY_FILTER = {  # code in the answer; the first that applies is told
    "failed": "region_failed",
    "hold-full": "too_many_waiting",
    "unreachable": "region_unreachable",
    "forbidden": "region_forbidden",
    "suspended": "suspended",
}


def network_rtt(view: RegionView, request: RouteRequest) -> float:
    """Round trip between the client and the region; without a location the client is where this gateway is."""
    if request.client is None and view.name == request.gateway_region:
        return PRIOR_SECONDS
    return expected_rtt_seconds(request.client, view.location)


def queue_wait(view: RegionView, _request: RouteRequest) -> float:
    """Time until a row is free, from the load alone.

    Below saturation Sakasegawa's approximation for M/M/c, never more than the wait when the last row is taken.
    """
    if view.rows == 0:
        return 0.0
    turn_seconds = view.service_seconds / view.rows  # between two rows becoming free when all are taken
    if view.running >= view.rows:
        return (view.waiting + 1) * turn_seconds
    load = view.running / view.rows
    return turn_seconds * min(1.0, math.pow(load, math.sqrt(2 * (view.rows + 1))) / (1 - load))


def wake_wait(view: RegionView, _request: RouteRequest) -> float:
    """Time until the region has woken."""
    if view.awake:
        return 0.0
    return max(MIN_WAKE_REMAINING_SECONDS, _wake_left(view))


def price(view: RegionView, _request: RouteRequest) -> float:
    """Money, in seconds."""
    return view.price_per_gpu_hour * PRICE_SECONDS_PER_UNIT


SCORES: tuple[Callable[[RegionView, RouteRequest], float], ...] = (network_rtt, queue_wait, wake_wait, price)


def score(view: RegionView, request: RouteRequest) -> float:
    """Expected time to the answer, in seconds."""
    return sum(part(view, request) for part in SCORES)


def filtered_by(view: RegionView, request: RouteRequest) -> str | None:
    """The first filter's reason against the region."""
    return next((reason for check in FILTERS if (reason := check(view, request))), None)


def decide(views: Sequence[RegionView], request: RouteRequest) -> Decision:
    """Serve now, hold for a wake, or refuse."""
    scores = tuple(_judge(view, request) for view in views)
    if request.model_suspended:
        return Decision("refuse", None, "suspended", message="This model is suspended.", scores=scores)
    able = _by_distance([v for v, judged in zip(views, scores, strict=True) if judged.filtered_by is None], request)
    existing = _by_distance([v for v in views if _exists(v, request)], request)
    if request.spill is False:
        able = [view for view in able if view is existing[0]]
    if not able:
        return _refuse(existing, scores)
    home, nearest = able[0], existing[0]
    candidates = [view for view in able if view is home or (request.spill and view.serves_now)]
    chosen = min(candidates, key=lambda view: (score(view, request), view.name))
    return Decision(
        action="serve" if chosen.serves_now else "hold",
        region=chosen.name,
        route=_route(chosen, home, nearest),
        wake=tuple(dict.fromkeys(view.name for view in (nearest, home) if not view.awake)),
        wake_estimate_seconds=None if chosen.serves_now else round(wake_wait(chosen, request), 1),
        scores=scores,
    )


def _judge(view: RegionView, request: RouteRequest) -> RegionScore:
    reason = filtered_by(view, request)
    return RegionScore(view.name, round(score(view, request), 6) if reason is None else None, reason)


def _exists(view: RegionView, request: RouteRequest) -> bool:
    """Whether the region is there for this client at all, working or not."""
    checks = (filter_suspended, filter_forbidden, filter_unreachable)
    return not any(check(view, request) for check in checks)


def _by_distance(views: Sequence[RegionView], request: RouteRequest) -> list[RegionView]:
    return sorted(views, key=lambda view: (network_rtt(view, request), view.name))


def _route(chosen: RegionView, home: RegionView, nearest: RegionView) -> str:
    """The short reason a person reads in Voxfleet-Route."""
    if chosen is not nearest and nearest is not home:
        return "failover"
    if chosen is not home:
        return "spill-load" if home.awake else "spill-wake"
    if chosen.serves_now:
        return "nearest"
    return "hold-load" if chosen.awake else "hold-wake"


def _refuse(existing: Sequence[RegionView], scores: tuple[RegionScore, ...]) -> Decision:
    """Say what keeps the nearest region from serving; where none exists for this client, what rules them out."""
    nearest = existing[0] if existing else None
    reasons = {score_row.filtered_by for score_row in scores if nearest is None or score_row.region == nearest.name}
    reason = next((name for name in REFUSAL_BY_FILTER if name in reasons), "no-region")
    return Decision(
        action="refuse",
        region=nearest.name if nearest else None,
        route=reason,
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
    """When it is worth coming back, however far that is beyond what Retry-After may say."""
    if nearest is None or nearest.awake:
        return None
    waits = {"failed": nearest.retry_after_seconds, "hold-full": max(MIN_WAKE_REMAINING_SECONDS, _wake_left(nearest))}
    return waits.get(reason)


def _wake_left(view: RegionView) -> float:
    return view.predicted_wake_seconds - view.wake_elapsed_seconds


def _retry_after(nearest: RegionView | None) -> int:
    wanted = RETRY_AFTER_MAX_SECONDS if nearest is None else (nearest.retry_after_seconds or 10)
    return max(1, min(RETRY_AFTER_MAX_SECONDS, math.ceil(wanted)))
