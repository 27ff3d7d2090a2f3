"""What one process has observed of a region over time: readiness, demand, reclaims, scaling by others.

Knows what is kept of each observation, and for how long. Does not know where observations come from
(voxfleet_operator.cluster); the time is an argument.
"""

from collections import deque
from dataclasses import dataclass, field

from voxfleet_operator import names
from voxfleet_operator.decisions.capacity.scaling import replicas_to_record
from voxfleet_operator.decisions.demand.wake_timing import is_of_this_wake
from voxfleet_operator.decisions.observed import ForeignScale, LocalState, RegionState

# Longer than the period of any autoscaler that scales again and again: one report for all of its attempts.
SCALED_REPORT_SECONDS = 600.0


@dataclass(slots=True)
class RegionHistory:
    """What this process has observed of one region.

    `ready_in_wake`: when the wake began in which a pod was ready; `asked`: (time, replicas that demand asked for).
    """

    unready_since: float | None = None
    ready_in_wake: float | None = None
    load_expected_at: float | None = None
    spot_reclaimed_at: float | None = None
    scaled: dict[str, tuple[ForeignScale, float]] = field(default_factory=dict)
    asked: deque[tuple[float, int]] = field(default_factory=deque)

    def record(self, observed: RegionState, now: float) -> bool:
        """Record an observation; return whether a spot node was reclaimed that was not recorded before."""
        _record_readiness(self, observed, now)
        _record_demand(self, observed, now)
        is_new_reclaim = _record_reclaim(self, observed)
        _record_scaling(self, observed, now)
        return is_new_reclaim

    def local_state(self, lease_trusted_at: float, now: float) -> LocalState:
        """Return what a decision reads of the history."""
        return LocalState(
            unready_since=self.unready_since or now,
            lease_trusted_at=lease_trusted_at,
            load_expected_at=self.load_expected_at or now,
            peak_replicas=max((replicas for _, replicas in self.asked), default=0),
            spot_reclaimed_at=self.spot_reclaimed_at,
            scaled=tuple(self.scaled.values()),
        )


def _record_readiness(history: RegionHistory, observed: RegionState, now: float) -> None:
    if observed.replicas == 0:
        history.unready_since = history.load_expected_at = None
    elif observed.ready_pods:
        history.unready_since, history.ready_in_wake = None, observed.woken_at
        history.load_expected_at = history.load_expected_at or now
    elif history.unready_since is None:
        # A first wake is timed from the demand, also by an operator that started meanwhile. A region that was ready
        # once in this wake and lost its pods gets the whole wakeTimeoutSeconds again.
        woken_at = observed.woken_at
        was_ready = is_of_this_wake(observed.last_wake, woken_at) or history.ready_in_wake == woken_at
        is_first = woken_at is not None and not was_ready
        history.unready_since = woken_at if is_first else now


def _record_reclaim(history: RegionHistory, observed: RegionState) -> bool:
    """Keep the newest reclaim of a spot node after its pods are gone, and return whether it is a new one.

    The Deployment keeps it over a restart, so that it is no new one then.
    """
    seen = [pod.reclaimed_at for pod in observed.pods if pod.pool == names.POOL_SPOT]
    recorded = [*(workload.spot_reclaimed_at for workload in observed.workloads), history.spot_reclaimed_at]
    before = max((each for each in recorded if each is not None), default=None)
    history.spot_reclaimed_at = max((each for each in (*seen, before) if each is not None), default=None)
    return history.spot_reclaimed_at != before


def _record_scaling(history: RegionHistory, observed: RegionState, now: float) -> None:
    """Keep what another writer did to a Deployment: the next apply undoes it, and with it every trace."""
    for workload in observed.workloads:
        if workload.scaled is not None:
            history.scaled[workload.scaled.deployment] = (workload.scaled, now + SCALED_REPORT_SECONDS)
    history.scaled = {name: each for name, each in history.scaled.items() if each[1] > now}


def _record_demand(history: RegionHistory, observed: RegionState, now: float) -> None:
    """Record what demand asks for now; the first record after a start is no less than the present number of replicas.

    So a restarted operator shrinks nothing before it has observed a whole stabilization window.
    """
    is_first = not history.asked
    recorded = replicas_to_record(observed.planned_replicas, observed.load, observed.autoscaling)
    asked = max(observed.planned_replicas, recorded) if is_first else recorded
    if observed.replicas == 0:
        history.asked.clear()
        return
    history.asked.append((now, asked))
    while history.asked and history.asked[0][0] < now - observed.autoscaling.scale_down_stabilization_seconds:
        history.asked.popleft()
