"""Divides the duration of a wake: node, container, image, process, weights, warm-up, readiness, and the rest.

Knows the cut points: the operator's times of receipt of the first ready pod's milestones, and the parts of its start
that the inference server reports itself. Decides nothing.
"""

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from voxfleet_operator.decisions.observed import PodState, RegionState, StartUpState
from voxfleet_operator.decisions.timestamps import to_micro_time, to_seconds
from voxfleet_operator.resources import LastWake

PARTS = tuple(name for name in LastWake.model_fields if name.endswith("_seconds") and name != "total_seconds")
PHASES = tuple(name.removesuffix("_seconds") for name in PARTS)
# Below the microseconds that a timestamp keeps when it is written and parsed again, above float error.
SAME_INSTANT_SECONDS = 1e-3
# An operator that lists a pod reads its Ready time in whole seconds.
SAME_READY_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class WakeProgress:
    """The wake that is under way: the milestones of the pod that is farthest, as far as it has got."""

    woken_at: float
    reason: str
    scheduled_at: float | None = None
    sandbox_at: float | None = None
    started_at: float | None = None


def wake_progress(observed: RegionState, woken_at: float | None, reason: str) -> WakeProgress:
    """Return how far the present wake is; it changes with a milestone, and with no time that passes."""
    pods = [(pod.scheduled_at, pod.sandbox_at, pod.started_at) for pod in observed.active_pods]
    # Milestones follow one another: the pod with the most of them is farthest, of equals the one that was sooner.
    ranked = sorted(pods, key=lambda times: ([each is None for each in times], [each or 0.0 for each in times]))
    return WakeProgress(woken_at or 0.0, reason, *(ranked[0] if ranked else ()))


def finished_wake(observed: RegionState) -> LastWake | None:
    """Return the timing of the present wake once a pod is ready, else None.

    The parts that the server reports are added when a gateway has its report, up to a few seconds after.
    """
    woken_at = observed.woken_at
    if woken_at is None or not observed.ready_pods:
        return None
    recorded = observed.last_wake
    if recorded is None or not recorded.ready_at or recorded.started_at != to_micro_time(woken_at):
        first = min(observed.ready_pods, key=lambda pod: pod.ready_at or 0.0)
        return _timing(first, woken_at, observed)
    first_ready = _first_ready(recorded, observed)
    if recorded.process_seconds is not None or first_ready is None or _start_up(first_ready, observed) is None:
        return recorded
    return _timing(first_ready, woken_at, observed)


def _first_ready(recorded: LastWake, observed: RegionState) -> PodState | None:
    """Return the pod that ended the recorded wake, while it is ready, with the time that was recorded."""
    ready_at = to_seconds(recorded.ready_at) or 0.0
    same = [pod for pod in observed.ready_pods if abs((pod.ready_at or 0.0) - ready_at) < SAME_READY_SECONDS]
    # The Lease was renewed to the recorded time, so it must not move.
    return replace(min(same, key=lambda pod: pod.ready_at or 0.0), ready_at=ready_at) if same else None


def _start_up(pod: PodState, observed: RegionState) -> StartUpState | None:
    return next((row.start_up for row in observed.load.pods if row.address == pod.address), None)


def _timing(pod: PodState, woken_at: float, observed: RegionState) -> LastWake:
    ready_at = max(pod.ready_at or woken_at, woken_at)
    start_up = _start_up(pod, observed)
    names, ends = zip(*_cut_points(pod, start_up, woken_at, ready_at), strict=True)
    # Points are rounded, not parts, so that the parts add up to the total; each at or behind the one before.
    offsets = accumulate((min(end, ready_at) - woken_at for end in ends), max, initial=0.0)
    rounded = [round(offset, 2) for offset in offsets]
    parts = {name: f"{end - begin:.2f}" for name, (begin, end) in zip(names, pairwise(rounded), strict=True)}
    return LastWake(
        started_at=to_micro_time(woken_at),
        ready_at=to_micro_time(ready_at),
        reason=observed.woken_reason,
        total_seconds=f"{rounded[-1]:.2f}",
        approximate=not pod.is_watched_from_creation,
        **parts,
    )


def _cut_points(
    pod: PodState, start_up: StartUpState | None, woken_at: float, ready_at: float
) -> list[tuple[str, float]]:
    """Return the parts of a wake in their order, each with the time of its end.

    A milestone that was missed counts as reached with the one before: its seconds appear in the next part.
    """
    scheduled_at = pod.scheduled_at or woken_at
    sandbox_at = pod.sandbox_at or scheduled_at
    started_at = pod.started_at or sandbox_at
    before = [("node_seconds", scheduled_at), ("container_seconds", sandbox_at)]
    if start_up is None:
        return [*before, ("image_seconds", started_at), ("other_seconds", ready_at)]
    loaded_at = start_up.ready_at - start_up.warm_seconds
    load_started_at = loaded_at - start_up.loaded_seconds
    process_at = load_started_at - start_up.process_seconds
    return [
        *before,
        # The kubelet reports a container some time after it has started: the process may be older than the report.
        ("image_seconds", min(started_at, process_at)),
        ("other_seconds", process_at),
        ("process_seconds", load_started_at),
        ("weights_seconds", loaded_at),
        ("warm_up_seconds", start_up.ready_at),
        ("readiness_seconds", ready_at),
    ]


def total_seconds(wake: LastWake | None) -> float | None:
    """Return how long a wake took, or None when there was none."""
    return float(wake.total_seconds) if wake and wake.total_seconds else None


def phases(wake: LastWake) -> dict[str, float]:
    """Return the parts of a wake by name, in seconds; empty until the server's own parts are known."""
    if wake.process_seconds is None:
        return {}
    parts = {phase: getattr(wake, name) for phase, name in zip(PHASES, PARTS, strict=True)}
    return {name: float(seconds) for name, seconds in parts.items() if seconds is not None}


def is_of_this_wake(wake: LastWake | None, woken_at: float | None) -> bool:
    """Whether a timing belongs to the wake that began at `woken_at`."""
    started_at = to_seconds(wake.started_at) if wake else None
    return started_at is not None and woken_at is not None and abs(started_at - woken_at) < SAME_INSTANT_SECONDS
