"""A decision in English words: why this region, and what each of the others lacks. Pure.

Knows: the sentence of every reason and state, and the parts of a region's score. The page's English locale has the same
sentences, which a test compares. A reason, score or source of round trips without a sentence here is named by its own
word, so that a new one shows at once.
Does not know: which reason holds (reasons.py); how the words are printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from voxfleet_gateway.decisions.explanation.reasons import (
    NO_FAULTS,
    REFUSED,
    DecisionReasons,
    Reason,
    RegionReason,
    decision_reasons,
)
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import SCORES, wake_wait
from voxfleet_gateway.decisions.routing import MODEL_SUSPENDED, REFUSAL_MESSAGES, Decision, RouteRequest
from voxfleet_gateway.decisions.snapshot import RegionView


@dataclass(frozen=True, slots=True)
class RegionExplanation:
    """What one region offers this request, and why it is or is not chosen: in words, and as a code."""

    region: str
    is_chosen: bool
    state: str
    verdict: str
    reason: Reason
    filtered_by: str | None
    rtt_seconds: float
    waits: dict[str, float]  # the parts of the score beside the round trip, by the name of the score's function
    score_seconds: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision in words and as codes, and every region's part in it, in the order of the snapshot."""

    summary: str
    reasons: tuple[Reason, ...]
    client: str
    wakes: str  # empty: no region is woken
    regions: tuple[RegionExplanation, ...]


# Code -> why the decision is what it is.
SUMMARY_WORDS = {
    "nearest": "{region} is the nearest region that may serve this client, and it can serve now.",
    "spill-load": "{home} is nearer, but busy: {region} is expected to respond {seconds} sooner.",
    "spill-wake": "{home} is nearer, but asleep: {region} is expected to respond {seconds} sooner than its wake ends.",
    "failover": "{nearest} is nearer, but {because}; {region} is the next one.",
    "hold-wake": "{region} is where the client belongs; it has no server now, so the request waits for its wake.",
    "hold-load": "{region} is where the client belongs; all of its servers are full, so the request waits.",
    "hold-circuit": "{region} is where the client belongs; all of its servers fail, so the request waits for a retry.",
    "waits": "It can't serve yet, so the request waits.",
    "takes": "That takes about {seconds}.",
    "retry": "It may succeed in about {seconds}.",
    f"{REFUSED}model-suspended": MODEL_SUSPENDED,
} | {f"{REFUSED}{filter_}": message for filter_, message in REFUSAL_MESSAGES.items()}

# Code -> why a region is or is not used.
REGION_WORDS = {
    "serves-now": "it serves now",
    "waited-for": "the request waits for it",
    "later": "expected {seconds} later",
    "not-nearest": "it can't serve now, and a request waits for its nearest region only ({home})",
    "no-spill": "spec.gateway.spill is false, and {nearest} is nearer",
    "model-suspended": "the model is suspended (spec.suspend)",
    "suspended": "it is suspended (spec.suspend, or the region's own)",
    "unreachable": "it is in another cluster, and this gateway has no connection to it",
    "unreachable-fault": "it is in another cluster, and {fault}",
    "stale": "its gateway does not report, or the last report is too old",
    "stale-fault": "its gateway does not report, or the last report is too old: {fault}",
    "second-hop": "another region's gateway has sent the request here, and it goes through no third one",
    "forbidden": "allowedClients is {countries}, and the client's country is {country}",
    "forbidden-unknown": "allowedClients is {countries}, and the client's country is unknown",
    "failed": "its last wake failed: {failure}",
    "failed-unknown": "its last wake failed, and no reason was given",
    "hold-full": "it can't serve now, and no further request may wait (spec.gateway.maxHeldRequests)",
}
REASON_WORDS = SUMMARY_WORDS | REGION_WORDS

RTT_WORDS = {
    "assumed": "It is assumed to be where the gateway is.",
    "distance": "Round trips are estimated from the distance.",
    "measured": "Round trips are measured.",
}


def explain_decision(record: DecisionRecord, faults: Mapping[str, str] = NO_FAULTS) -> Explanation:
    """Return the decision of a record in words; `faults` says of regions why this gateway does not reach them."""
    reasons, views = decision_reasons(record, faults), {view.name: view for view in record.views}
    return Explanation(
        _summary(reasons),
        reasons.summary,
        _client(record.route_request),
        _wakes(record.decision),
        tuple(_region(each, views[each.region]) for each in reasons.regions),
    )


def reason_words(reason: Reason) -> str:
    """Return a reason in words."""
    texts = {name: _duration(value) if isinstance(value, float | int) else value for name, value in _params(reason)}
    return REASON_WORDS.get(reason.code, reason.code).format(**texts)


def _params(reason: Reason) -> list[tuple[str, str | float]]:
    because = [("because", reason_words(reason.because))] if reason.because is not None else []
    return [*reason.params.items(), *because]


def _summary(reasons: DecisionReasons) -> str:
    return " ".join(map(reason_words, reasons.summary))


def _region(explained: RegionReason, view: RegionView) -> RegionExplanation:
    return RegionExplanation(
        explained.region,
        is_chosen=explained.is_chosen,
        state=state_words(view),
        verdict=("chosen: " if explained.is_chosen else "not used: ") + reason_words(explained.reason),
        reason=explained.reason,
        filtered_by=explained.filtered_by,
        rtt_seconds=explained.rtt_seconds,
        waits={part.__name__: round(part(view), 6) for part in SCORES},
        score_seconds=explained.score_seconds,
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


def _client(request: RouteRequest) -> str:
    at = request.client
    place = f"The client is at {at.latitude:.2f}, {at.longitude:.2f}" if at else "The client's location is unknown"
    source = RTT_WORDS.get(request.rtt_source, f"Round trips are from: {request.rtt_source}.")
    return f"{place}; its country is {request.client_country or 'unknown'}. {source}"


def _wakes(decision: Decision) -> str:
    return f"A request wakes {' and '.join(decision.wake)}." if decision.wake else ""


def _duration(seconds: float) -> str:
    return f"{round(seconds, 1):g} s" if abs(seconds) >= 1 else f"{1000 * seconds:.0f} ms"
