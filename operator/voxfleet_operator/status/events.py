"""Decides the Events of a resource: what changed between the status written last and the one written now.

Knows which change is worth an Event. Pure: equal statuses give none, so nothing is sent at rest, and an operator that
starts repeats none. Does not know how Events are named, counted and sent (cluster/writing/event_recorder.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from voxfleet_operator.decisions.demand.wake_timing import PARTS, PHASES
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import WOKEN_BY_REQUEST, RegionPlan
from voxfleet_operator.decisions.timestamps import to_micro_time, to_rfc3339, to_seconds
from voxfleet_operator.resources import Condition, LastWake, Phase, RegionStatus, VoxTTSDeploymentStatus
from voxfleet_operator.status.condition_types import DEGRADED, READY, RECONCILING
from voxfleet_operator.status.event_drafts import SLEEP, WAKE, EventDraft, bounded
from voxfleet_operator.status.reasons import REASONS

MOST_PER_WRITE = 8  # of a resource with many regions: warnings first
STARTING = ("Waking", "FetchingWeights")  # Ready is False for these while all is well


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a region's status is what it is, where the status does not say it.

    `holder`: what renewed the demand Lease last; `reclaimed_at`: when a spot node was reclaimed last.
    """

    reason: str = ""
    woken_reason: str = ""
    holder: str = ""
    idle_since: float | None = None
    reclaimed_at: float | None = None


def cause_of(plan: RegionPlan, observed: RegionState | None) -> Cause:
    """Return the cause of a region's plan; without a state, its cluster is away."""
    lease = observed.lease if observed is not None else None
    return Cause(
        reason=plan.reason,
        woken_reason=plan.woken_reason,
        holder=lease.holder if lease else "",
        idle_since=lease.renewed_at if lease else None,
        reclaimed_at=plan.spot_reclaimed_at,
    )


def events_of(
    before: VoxTTSDeploymentStatus,
    after: VoxTTSDeploymentStatus,
    causes: Mapping[str, Cause] | None = None,
    reclaimed_after: float = 0.0,
) -> tuple[EventDraft, ...]:
    """Return the Events of a status that is written; reclaims of spot nodes until `reclaimed_after` had theirs."""
    earlier, known = {region.name: region for region in before.regions}, causes or {}
    regions = [
        draft
        for region in after.regions
        for draft in _of_region(earlier.get(region.name), region, known.get(region.name, Cause()), reclaimed_after)
    ]
    conditions = _of_conditions(before, after, frozenset(draft.reason for draft in regions))
    distinct: dict[tuple[str, str], EventDraft] = {}
    for draft in (*regions, *conditions):
        distinct.setdefault((draft.region, draft.reason), draft)
    return tuple(sorted(distinct.values(), key=lambda draft: not draft.is_warning)[:MOST_PER_WRITE])


def _of_region(
    before: RegionStatus | None, after: RegionStatus, cause: Cause, reclaimed_after: float
) -> Iterator[EventDraft]:
    was = before.phase if before else None
    if after.phase != was:
        found = _of_phase(was, after, cause)
        yield from (found,) if found else ()
    if before is not None:
        yield from _of_wake(before, after)
    if cause.reclaimed_at is not None and cause.reclaimed_at > reclaimed_after:
        text = bounded(f"region {after.name}: a spot node was reclaimed; {after.message}")
        at = cause.reclaimed_at
        yield EventDraft("SpotReclaimed", text, region=after.name, is_warning=True, occurrence=to_micro_time(at), at=at)


def _of_phase(was: Phase | None, after: RegionStatus, cause: Cause) -> EventDraft | None:
    """Return the Event of a new phase. A region that the status did not have yet has only begun to exist."""
    if after.phase == Phase.WAKING:
        return _waking(was, after, cause)
    if after.phase == Phase.FAILED:
        return _failed(after, cause)
    if was is None:
        return None
    if after.phase == Phase.ASLEEP:
        return _asleep(after, cause)
    if after.phase == Phase.SUSPENDED:
        return EventDraft("Suspended", f"region {after.name}: {after.message}", SLEEP, region=after.name)
    return None


def _waking(was: Phase | None, after: RegionStatus, cause: Cause) -> EventDraft:
    reason = cause.reason if cause.reason in REASONS else "Waking"
    if was == Phase.AWAKE:
        text = bounded(f"region {after.name}: no server is ready any more; {after.message}")
        return EventDraft(reason, text, WAKE, region=after.name, is_warning=True)
    return EventDraft(reason, bounded(f"region {after.name}: {_why_woken(after, cause)}"), WAKE, region=after.name)


def _why_woken(after: RegionStatus, cause: Cause) -> str:
    if not cause.woken_reason:
        return after.message
    if cause.woken_reason == WOKEN_BY_REQUEST:
        return f"waking on demand: the Lease was renewed by {cause.holder}" if cause.holder else "waking on demand"
    return "waking because minReplicas asks for servers; Ready is False until one is ready"


def _failed(after: RegionStatus, cause: Cause) -> EventDraft:
    failure = after.failure
    reason = failure.reason if failure else cause.reason
    row = REASONS.get(reason)
    retry_at = to_seconds(failure.retry_at) if failure else None
    retry = f"; tried again on demand from {to_rfc3339(retry_at)} on" if retry_at is not None else ""
    remedy = f" {row.remedy}" if row and row.remedy else ""
    runbook = f" Runbook: {row.alert}." if row and row.alert else ""
    text = bounded(f"region {after.name}: {after.message.rstrip('.')}.", f" Ready is False{retry}.{remedy}{runbook}")
    occurrence = failure.failed_at if failure else ""
    at = to_seconds(occurrence)
    return EventDraft(reason or "Failed", text, WAKE, region=after.name, is_warning=True, occurrence=occurrence, at=at)


def _asleep(after: RegionStatus, cause: Cause) -> EventDraft:
    idle = f"asleep, idle since {to_rfc3339(cause.idle_since)}" if cause.idle_since else "asleep"
    text = after.message or f"{idle}; the next request wakes it"
    return EventDraft("Asleep", bounded(f"region {after.name}: {text}"), SLEEP, region=after.name)


def _of_wake(before: RegionStatus, after: RegionStatus) -> Iterator[EventDraft]:
    """Return the Event of a finished wake: when it ended, and once more when the server reported its parts."""
    wake, known = after.last_wake, before.last_wake
    is_new = wake is not None and (known is None or known.started_at != wake.started_at)
    has_parts = wake is not None and wake.process_seconds is not None
    is_amended = has_parts and not is_new and known is not None and known.process_seconds is None
    if wake is not None and (is_new or is_amended):
        text = f"region {after.name}: {_timing(wake)}"
        at = to_seconds(wake.ready_at)
        yield EventDraft("Awake", bounded(text), WAKE, region=after.name, occurrence=wake.started_at, at=at)
    elif after.phase == Phase.AWAKE and before.phase != Phase.AWAKE:
        yield EventDraft("Awake", f"region {after.name}: serving again", WAKE, region=after.name)


def _timing(wake: LastWake) -> str:
    """Return the duration of a wake and its parts, the slowest first."""
    values = ((name.replace("_", " "), getattr(wake, part)) for name, part in zip(PHASES, PARTS, strict=True))
    parts = sorted(((float(seconds), name) for name, seconds in values if seconds), reverse=True)
    listed = ", ".join(f"{name} {seconds:.2f} s" for seconds, name in parts if seconds > 0)
    about = "about " if wake.approximate else ""
    return f"awake after {about}{wake.total_seconds} s" + (f"; slowest first: {listed}" if listed else "")


def _of_conditions(
    before: VoxTTSDeploymentStatus, after: VoxTTSDeploymentStatus, said: frozenset[str]
) -> Iterator[EventDraft]:
    """Return the Events of conditions, without the problems that a region's Event has said."""
    was = {condition.type: condition for condition in before.conditions}
    for condition in after.conditions:
        known = was.get(condition.type)
        if known is None or (known.status, known.reason) != (condition.status, condition.reason):
            yield from chain(_ready(known, condition, said), _degraded(known, condition, said), _paused(condition))


def _ready(was: Condition | None, now: Condition, said: frozenset[str]) -> Iterator[EventDraft]:
    if now.type != READY or (now.status == "False" and now.reason in said):
        return
    if now.status == "False":
        yield EventDraft(now.reason, _note("Ready is False", now), is_warning=now.reason not in STARTING)
    elif was is not None and was.status == "False":
        yield EventDraft(now.reason, _note(f"Ready is True again after {was.reason}", now))


def _degraded(was: Condition | None, now: Condition, said: frozenset[str]) -> Iterator[EventDraft]:
    if now.type != DEGRADED or (now.status == "True" and now.reason in said):
        return
    if now.status == "True":
        yield EventDraft(now.reason, _note("Degraded", now), is_warning=True)
    elif was is not None and was.status == "True":
        since = f"it was {was.reason} since {was.last_transition_time}"
        yield EventDraft(now.reason, bounded(f"Degraded is False again; {since}"))


def _paused(now: Condition) -> Iterator[EventDraft]:
    if now.type == RECONCILING and now.reason == "Paused":
        yield EventDraft(now.reason, bounded(now.message))


def _note(what: str, condition: Condition) -> str:
    return bounded(f"{what}: {condition.message}")
