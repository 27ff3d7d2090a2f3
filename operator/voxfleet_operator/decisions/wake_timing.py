"""Divides the duration of a wake: node, image, container, weights, warm-up, and the rest.

Knows the cut points: the operator's times of receipt of the first ready pod's milestones, and the seconds that the
inference server reports itself. Decides nothing.
"""

from voxfleet_operator.decisions.observed import PodState, RegionState
from voxfleet_operator.decisions.timestamps import to_micro_time, to_seconds
from voxfleet_operator.resources import LastWake

# Below the microseconds that a timestamp keeps when it is written and parsed again, above float error.
SAME_INSTANT_SECONDS = 1e-3


def finished_wake(observed: RegionState) -> LastWake | None:
    """Return the timing of the present wake once a pod is ready, else None.

    The server's own figures are added when a gateway has reported them, up to a few seconds after.
    """
    woken_at = observed.woken_at
    if woken_at is None or not observed.ready_pods:
        return None
    started_at = to_micro_time(woken_at)
    recorded = observed.last_wake
    if recorded is not None and recorded.started_at == started_at and recorded.ready_at:
        return _with_server_seconds(recorded, observed)
    first = min(observed.ready_pods, key=lambda pod: pod.ready_at or 0.0)
    return _with_server_seconds(_timing(first, woken_at, observed.woken_reason), observed)


def _timing(pod: PodState, woken_at: float, reason: str) -> LastWake:
    ready_at = max(pod.ready_at or woken_at, woken_at)
    # A milestone that was missed counts as reached with the one before: its seconds appear in the next part.
    scheduled_at = pod.scheduled_at or woken_at
    sandbox_at = pod.sandbox_at or scheduled_at
    started_at = pod.started_at or sandbox_at
    return LastWake(
        started_at=to_micro_time(woken_at),
        ready_at=to_micro_time(ready_at),
        reason=reason,
        total_seconds=_decimal(ready_at - woken_at),
        node_seconds=_decimal(scheduled_at - woken_at),
        container_seconds=_decimal(sandbox_at - scheduled_at),
        image_seconds=_decimal(started_at - sandbox_at),
        other_seconds=_decimal(ready_at - started_at),
        approximate=not pod.is_watched_from_creation,
    )


def _with_server_seconds(wake: LastWake, observed: RegionState) -> LastWake:
    """Take the server's own seconds out of the rest, once."""
    loaded, warm = observed.load.loaded_seconds, observed.load.warm_seconds
    if loaded is None or warm is None or wake.weights_seconds is not None:
        return wake
    rest = float(wake.other_seconds or 0) - loaded - warm
    update = {
        "weights_seconds": _decimal(loaded),
        "warm_up_seconds": _decimal(warm),
        "other_seconds": _decimal(rest),
    }
    return wake.model_copy(update=update)


def total_seconds(wake: LastWake | None) -> float | None:
    """Return how long a wake took, or None when there was none."""
    return float(wake.total_seconds) if wake and wake.total_seconds else None


def is_of_this_wake(wake: LastWake | None, woken_at: float | None) -> bool:
    """Whether a timing belongs to the wake that began at `woken_at`."""
    started_at = to_seconds(wake.started_at) if wake else None
    return started_at is not None and woken_at is not None and abs(started_at - woken_at) < SAME_INSTANT_SECONDS


def _decimal(seconds: float) -> str:
    return f"{max(seconds, 0.0):.1f}"
