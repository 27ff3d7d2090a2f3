"""What is kept of observations: the window of demand, since when nothing is ready, the newest reclaim."""

from voxfleet_operator.decisions.observed import Leaving, LoadState, PodState, RegionState, WorkloadState
from voxfleet_operator.decisions.region_history import RegionHistory
from voxfleet_operator.names import POOL_SPOT
from voxfleet_operator.resources import Autoscaling

NOW = 1_795_000_000.0
AUTOSCALING = Autoscaling(target_requests_per_replica=1, max_replicas=9, scale_down_stabilization_seconds=60)


def region(open_requests: int, **fields: object) -> RegionState:
    given = {"workloads": (WorkloadState(1, woken_at=NOW),), "load": LoadState(open_requests=open_requests)} | fields
    return RegionState("eu", 1, AUTOSCALING, **given)  # type: ignore[arg-type]


def test_the_peak_of_demand_is_kept_for_the_stabilization_window() -> None:
    history = RegionHistory()
    peaks = []
    for second, count in ((0, 1), (10, 7), (30, 2), (69, 2), (71, 2)):
        history.record(region(count), NOW + second)
        peaks.append(history.local_state(0.0, NOW + second).peak_replicas)
    assert peaks == [1, 7, 7, 7, 2]


def test_a_region_is_unready_since_its_wake_until_a_pod_is_ready() -> None:
    history = RegionHistory()
    history.record(region(1), NOW + 5)
    assert history.local_state(0.0, NOW + 5).unready_since == NOW
    pod = PodState("default", "p", "narrator", "eu", created_at=NOW, ready_at=NOW + 9)
    history.record(region(1, pods=(pod,)), NOW + 9)
    history.record(region(1), NOW + 20)  # lost again in the same wake: a new time to start
    assert history.local_state(0.0, NOW + 21).unready_since == NOW + 20


def test_a_reclaim_is_new_once() -> None:
    history = RegionHistory()
    leaving = Leaving("reclaimed", since=NOW + 3)
    pod = PodState("default", "p", "narrator", "eu", created_at=NOW, pool=POOL_SPOT, leaving=leaving)
    assert history.record(region(1, pods=(pod,)), NOW + 4)
    assert not history.record(region(1, pods=(pod,)), NOW + 5)
    assert history.local_state(0.0, NOW + 60).spot_reclaimed_at == NOW + 3
