"""Why a decision is what it is: a code with parameters for the decision, and one for what each region lacks. Pure.

Knows: which reason holds, and what it names. A filter or route that is new here is a code like the others.
Does not know: how a decision is made (routing.py); words (wording.py, and the locales of the page).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.routing import Decision, RegionScore, RouteRequest, usable_regions
from voxfleet_gateway.decisions.snapshot import RegionView

NO_FAULTS: Mapping[str, str] = MappingProxyType({})
REFUSED = "refused-"  # before the route of a decision that refuses


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, what it names, and the reason that it refers to. A parameter `seconds` is a duration."""

    code: str
    params: dict[str, str | float] = field(default_factory=dict)
    because: "Reason | None" = None


@dataclass(frozen=True, slots=True)
class RegionReason:
    """What one region offers this request, and why it is or is not chosen."""

    region: str
    is_chosen: bool
    reason: Reason
    filtered_by: str | None
    rtt_seconds: float
    score_seconds: float | None


@dataclass(frozen=True, slots=True)
class DecisionReasons:
    """The reasons of a decision in their order, and every region's, in the order of the snapshot."""

    summary: tuple[Reason, ...]
    regions: tuple[RegionReason, ...]


def decision_reasons(record: DecisionRecord, faults: Mapping[str, str] = NO_FAULTS) -> DecisionReasons:
    """Return why; `faults` says of regions why this gateway does not reach them."""
    facts = _facts(record, faults)
    return DecisionReasons(tuple(_summary(facts)), tuple(_region(view.name, facts) for view in record.views))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the reasons refer to."""

    record: DecisionRecord
    views: dict[str, RegionView]
    scores: dict[str, RegionScore]
    rtts: dict[str, float]
    nearest: str  # of the regions that are meant for this client; empty: there is none
    home: str  # of those, the nearest that can serve or be waited for
    faults: Mapping[str, str]

    @property
    def decision(self) -> Decision:
        """The decision that is explained."""
        return self.record.decision

    @property
    def request(self) -> RouteRequest:
        """The request that was decided on."""
        return self.record.route_request


def _facts(record: DecisionRecord, faults: Mapping[str, str]) -> _Facts:
    request, names = record.route_request, [view.name for view in record.views]
    rtts = dict(zip(names, request.rtt_seconds, strict=True))
    scores = {score.region: score for score in record.scores}
    usable = sorted(usable_regions(record.standings, request), key=lambda name: (rtts[name], name))
    able = [name for name in usable if scores[name].filtered_by is None]
    views = {view.name: view for view in record.views}
    return _Facts(record, views, scores, rtts, _first(usable), _first(able) or _first(usable), faults)


def _first(names: Sequence[str]) -> str:
    return names[0] if names else ""


def _region(name: str, facts: _Facts) -> RegionReason:
    score = facts.scores[name]
    return RegionReason(
        name,
        is_chosen=name == facts.decision.region and facts.decision.action != "refuse",
        reason=_reason(name, facts),
        filtered_by=score.filtered_by,
        rtt_seconds=facts.rtts[name],
        score_seconds=score.score_seconds,
    )


def _reason(name: str, facts: _Facts) -> Reason:
    filtered_by, decision = facts.scores[name].filtered_by, facts.decision
    if facts.request.is_model_suspended:
        return Reason("model-suspended")
    if filtered_by is not None:
        return _of_filter(filtered_by, facts.views[name], facts)
    if name == decision.region and decision.action != "refuse":
        return Reason("serves-now" if decision.action == "serve" else "waited-for")
    if not facts.request.rules.spill:
        return Reason("no-spill", {"nearest": facts.nearest})
    if not facts.views[name].is_available and name != facts.home:
        return Reason("not-nearest", {"home": facts.home})
    return Reason("later", {"seconds": _later_seconds(name, facts)})


def _later_seconds(name: str, facts: _Facts) -> float:
    chosen = facts.scores[facts.decision.region or name].score_seconds
    return round((facts.scores[name].score_seconds or 0.0) - (chosen or 0.0), 6)


def _of_filter(filtered_by: str, view: RegionView, facts: _Facts) -> Reason:
    fault, country = facts.faults.get(view.name, ""), facts.request.client_country
    countries = ", ".join(view.allowed_countries)
    match filtered_by:
        case "unreachable" | "stale" if fault:
            return Reason(f"{filtered_by}-fault", {"fault": fault})
        case "forbidden" if country is None:
            return Reason("forbidden-unknown", {"countries": countries})
        case "forbidden":
            return Reason("forbidden", {"countries": countries, "country": country or ""})
        case "failed":
            return Reason("failed", {"failure": view.failure}) if view.failure else Reason("failed-unknown")
        case _:
            return Reason(filtered_by)


def _summary(facts: _Facts) -> Iterator[Reason]:
    decision = facts.decision
    if decision.action == "refuse":
        yield _refusal(facts)
        if decision.wake_estimate_seconds is not None:
            yield Reason("retry", {"seconds": round(decision.wake_estimate_seconds)})
        return
    yield _of_route(facts)
    if decision.action == "hold" and decision.wake_estimate_seconds:
        if not decision.route.startswith("hold-"):
            yield Reason("waits")
        yield Reason("takes", {"seconds": round(decision.wake_estimate_seconds)})


def _of_route(facts: _Facts) -> Reason:
    decision, params = facts.decision, {"region": facts.decision.region or ""}
    match decision.route:
        case "spill-load" | "spill-wake":
            return Reason(decision.route, {"home": facts.home, **params, "seconds": _later_seconds(facts.home, facts)})
        case "failover":
            return Reason("failover", {"nearest": facts.nearest, **params}, _reason(facts.nearest, facts))
        case _:
            return Reason(decision.route, {**params})


def _refusal(facts: _Facts) -> Reason:
    route, region = facts.decision.route, facts.decision.region
    if facts.request.is_model_suspended:
        return Reason(f"{REFUSED}model-suspended")
    if region is None:
        return Reason(f"{REFUSED}{route}")
    if route != "failed":
        return Reason(f"{REFUSED}{route}", {"region": region})
    failure = facts.views[region].failure
    if not failure:
        return Reason(f"{REFUSED}failed-unknown", {"region": region})
    return Reason(f"{REFUSED}failed", {"region": region, "failure": failure})
