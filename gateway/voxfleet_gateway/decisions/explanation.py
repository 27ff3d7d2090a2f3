"""A decision in words: why this region, and what each of the others lacks. Pure.

Knows: the sentence of every filter, route and state, and the parts of a region's score. A filter, score or source of
round trips without a sentence here is named by its own word, so that a new one shows at once.
Does not know: how a decision is made (routing.py); how the words are printed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import SCORES, wake_wait
from voxfleet_gateway.decisions.routing import Decision, RegionScore, RouteRequest, usable_regions
from voxfleet_gateway.decisions.snapshot import RegionView


@dataclass(frozen=True, slots=True)
class RegionExplanation:
    """What one region offers this request, and why it is or is not chosen."""

    region: str
    is_chosen: bool
    state: str
    verdict: str
    filtered_by: str | None
    rtt_seconds: float
    waits: dict[str, float]  # the parts of the score beside the round trip, by the name of the score's function
    score_seconds: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision in words, and every region's part in it, in the order of the snapshot."""

    summary: str
    client: str
    wakes: str  # empty: no region is woken
    regions: tuple[RegionExplanation, ...]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the sentences refer to."""

    record: DecisionRecord
    views: dict[str, RegionView]
    scores: dict[str, RegionScore]
    rtts: dict[str, float]
    nearest: str  # of the regions that are meant for this client; empty: there is none
    home: str  # of those, the nearest that can serve or be waited for
    faults: Mapping[str, str]  # by region: why its gateway is not reached or does not report, where that is known

    @property
    def decision(self) -> Decision:
        """The decision that is explained."""
        return self.record.decision

    @property
    def request(self) -> RouteRequest:
        """The request that was decided on."""
        return self.record.route_request


# Filter -> why the region is not used.
FILTER_WORDS = {
    "suspended": "not used: it is suspended (spec.suspend, or the region's own)",
    "unreachable": "not used: it is in another cluster, and {fault}",
    "stale": "not used: its gateway does not report, or the last report is too old{fault}",
    "second-hop": "not used: another region's gateway has sent the request here, and it goes through no third one",
    "forbidden": "not used: allowedClients is {countries}, and the client's country is {country}",
    "failed": "not used: its last wake failed: {failure}",
    "hold-full": "not used: it can't serve now, and no further request may wait (spec.gateway.maxHeldRequests)",
}

# What of these words says why a peer is not used, where that is known, and where not.
FAULT_WORDS = {"unreachable": "{}", "stale": ": {}"}
FAULT_UNKNOWN = {"unreachable": "this gateway has no connection to it"}
NO_FAULTS: Mapping[str, str] = MappingProxyType({})

# Route -> why the decision is what it is.
ROUTE_WORDS = {
    "nearest": "{region} is the nearest region that may serve this client, and it can serve now.",
    "spill-load": "{home} is nearer, but busy: {region} is expected to respond {sooner} sooner.",
    "spill-wake": "{home} is nearer, but asleep: {region} is expected to respond {sooner} sooner than its wake ends.",
    "failover": "{nearest} is nearer, but {nearest_verdict}; {region} is the next one.",
    "hold-wake": "{region} is where the client belongs; it has no server now, so the request waits for its wake.",
    "hold-load": "{region} is where the client belongs; all of its servers are full, so the request waits.",
    "hold-circuit": "{region} is where the client belongs; all of its servers fail, so the request waits for a retry.",
    "no-region": "The model has no regions.",
}
RTT_WORDS = {
    "assumed": "It is assumed to be where the gateway is.",
    "distance": "Round trips are estimated from the distance.",
    "measured": "Round trips are measured.",
}


def explain_decision(record: DecisionRecord, faults: Mapping[str, str] = NO_FAULTS) -> Explanation:
    """Return the decision of a record in words; `faults` says of regions why this gateway does not reach them."""
    facts = _facts(record, faults)
    regions = tuple(_region(view.name, facts) for view in record.views)
    return Explanation(_summary(facts), _client(facts.request), _wakes(facts.decision), regions)


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


def _region(name: str, facts: _Facts) -> RegionExplanation:
    view, score = facts.views[name], facts.scores[name]
    return RegionExplanation(
        name,
        is_chosen=name == facts.decision.region and facts.decision.action != "refuse",
        state=state_words(view),
        verdict=_verdict(name, facts),
        filtered_by=score.filtered_by,
        rtt_seconds=facts.rtts[name],
        waits={part.__name__: round(part(view), 6) for part in SCORES},
        score_seconds=score.score_seconds,
    )


def state_words(view: RegionView) -> str:
    """Return a region's state: what it has, or how far its wake is."""
    if view.is_awake:
        servers = f"{view.ready_pods} {'server' if view.ready_pods == 1 else 'servers'}"
        load = f"{view.running} of {view.rows} rows in use" + (f", {view.waiting} waiting" if view.waiting else "")
        return f"awake: {servers}, {load}, room for {view.free_requests} more requests"
    if view.failure is not None:
        return f"failed: {view.failure}"
    if view.is_falling_asleep:
        return f"falling asleep; a request wakes it, in about {wake_wait(view):.0f} s"
    if view.wake_elapsed_seconds > 0:
        return f"waking for {view.wake_elapsed_seconds:.0f} s, about {wake_wait(view):.0f} s to go"
    return f"asleep; a wake takes about {wake_wait(view):.0f} s"


def _verdict(name: str, facts: _Facts) -> str:
    reason, decision = facts.scores[name].filtered_by, facts.decision
    if facts.request.is_model_suspended:
        return "not used: the model is suspended (spec.suspend)"
    if reason is not None:
        return _filter_words(reason, facts.views[name], facts)
    if name == decision.region:
        return {"serve": "chosen: it serves now", "hold": "chosen: the request waits for it"}.get(decision.action, "")
    if not facts.request.rules.spill:
        return f"not used: spec.gateway.spill is false, and {facts.nearest} is nearer"
    if not facts.views[name].is_available and name != facts.home:
        return f"not used: it can't serve now, and a request waits for its nearest region only ({facts.home})"
    return f"not used: expected {_later(name, facts)} later"


def _later(name: str, facts: _Facts) -> str:
    chosen = facts.scores[facts.decision.region or name].score_seconds
    return _duration((facts.scores[name].score_seconds or 0.0) - (chosen or 0.0))


def _filter_words(reason: str, view: RegionView, facts: _Facts) -> str:
    text, fault = FILTER_WORDS.get(reason, f"not used: {reason}"), facts.faults.get(view.name, "")
    return text.format(
        countries=", ".join(view.allowed_countries),
        country=facts.request.client_country or "unknown",
        failure=view.failure,
        fault=FAULT_WORDS.get(reason, "{}").format(fault) if fault else FAULT_UNKNOWN.get(reason, ""),
    )


def _summary(facts: _Facts) -> str:
    decision = facts.decision
    if decision.action == "refuse":
        estimate = decision.wake_estimate_seconds
        return decision.message + (f" It may succeed in about {estimate:.0f} s." if estimate is not None else "")
    text = ROUTE_WORDS.get(decision.route, "{region}: " + decision.route)
    nearest_verdict = _verdict(facts.nearest, facts).removeprefix("not used: ")
    written = text.format(
        region=decision.region,
        home=facts.home,
        nearest=facts.nearest,
        nearest_verdict=nearest_verdict,
        sooner=_later(facts.home, facts),
    )
    if decision.action == "hold" and decision.wake_estimate_seconds is not None and "wait" not in written:
        written += " It can't serve yet, so the request waits."
    if decision.action == "hold" and decision.wake_estimate_seconds:
        written += f" That takes about {decision.wake_estimate_seconds:.0f} s."
    return written


def _client(request: RouteRequest) -> str:
    at = request.client
    place = f"The client is at {at.latitude:.2f}, {at.longitude:.2f}" if at else "The client's location is unknown"
    source = RTT_WORDS.get(request.rtt_source, f"Round trips are from: {request.rtt_source}.")
    return f"{place}; its country is {request.client_country or 'unknown'}. {source}"


def _wakes(decision: Decision) -> str:
    return f"A request wakes {' and '.join(decision.wake)}." if decision.wake else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if abs(seconds) >= 1 else f"{1000 * seconds:.0f} ms"
