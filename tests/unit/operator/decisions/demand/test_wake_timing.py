"""The parts of a wake add up to its duration, whatever a pod reports; only what no part explains is `other`."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.demand.wake_timing import WakeProgress, finished_wake, wake_progress
from voxfleet_operator.decisions.observed import LoadState, PodLoadState, PodState, RegionState, StartUpState
from voxfleet_operator.decisions.observed import WorkloadState as Workload
from voxfleet_operator.decisions.timestamps import to_seconds
from voxfleet_operator.resources import Autoscaling, LastWake

WOKEN = 1_795_000_000.0
ADDRESS = "10.0.0.1"
PARTS = (
    *("node_seconds", "container_seconds", "image_seconds", "process_seconds", "weights_seconds"),
    *("warm_up_seconds", "readiness_seconds", "other_seconds"),
)


def pod(**times: float | None) -> PodState:
    """A pod that was scheduled after 1 s, had a sandbox after 1.5 s, ran after 2 s and was ready after 6 s."""
    known = {"scheduled_at": WOKEN + 1, "sandbox_at": WOKEN + 1.5, "started_at": WOKEN + 2, "ready_at": WOKEN + 6}
    fields = {"created_at": WOKEN, "address": ADDRESS, "is_watched_from_creation": True, **known, **times}
    return PodState("default", "p", "narrator", "eu", **fields)  # type: ignore[arg-type]


def region(first: PodState, start_up: StartUpState | None = None, **fields: object) -> RegionState:
    load = LoadState(pods=(PodLoadState(ADDRESS, WOKEN + 7, start_up=start_up),))
    workloads = (Workload(1, woken_at=WOKEN, woken_reason="RequestHeld"),)
    known = {"workloads": workloads, "pods": (first,), "load": load, **fields}
    return RegionState("eu", 1, Autoscaling(), **known)  # type: ignore[arg-type]


def timing(observed: RegionState) -> LastWake:
    wake = finished_wake(observed)
    assert wake is not None
    return wake


def seconds(wake: LastWake) -> dict[str, float]:
    return {part: float(value) for part in PARTS if (value := getattr(wake, part)) is not None}


def test_the_servers_report_explains_what_follows_the_containers_start() -> None:
    # 2.1: the process starts; 4.1: imported; 4.6: weights there; 5.2: ready; 6: Kubernetes has seen it.
    wake = timing(region(pod(), StartUpState(2.0, 0.5, 0.6, ready_at=WOKEN + 5.2)))
    assert wake.total_seconds == "6.00"
    expected = (1.0, 0.5, 0.5, 2.0, 0.5, 0.6, 0.8, 0.1)
    assert seconds(wake) == pytest.approx(dict(zip(PARTS, expected, strict=True)))


def test_without_a_report_the_rest_is_other_until_the_report_comes() -> None:
    first = timing(region(pod()))
    assert seconds(first) == {"node_seconds": 1, "container_seconds": 0.5, "image_seconds": 0.5, "other_seconds": 4.0}
    start_up = StartUpState(2.0, 0.5, 0.6, ready_at=WOKEN + 5.2)
    listed_anew = pod(ready_at=WOKEN + 5)  # in whole seconds, by an operator that started meanwhile
    second = timing(region(listed_anew, start_up, last_wake=first))
    assert seconds(second)["process_seconds"] == 2.0
    assert (second.ready_at, second.total_seconds) == (first.ready_at, first.total_seconds)
    assert timing(region(pod(), StartUpState(9, 9, 9, WOKEN + 9), last_wake=second)) == second, "once"


def test_another_pods_report_is_not_taken_for_the_first_ones() -> None:
    first = timing(region(pod()))
    later = region(pod(ready_at=WOKEN + 60), StartUpState(2.0, 0.5, 0.6, WOKEN + 59), last_wake=first)
    assert timing(later) == first


def test_a_container_that_started_twice_is_other() -> None:
    wake = timing(region(pod(ready_at=WOKEN + 20), StartUpState(2.0, 0.5, 0.5, ready_at=WOKEN + 19.5)))
    assert seconds(wake)["other_seconds"] == pytest.approx(14.5)


def test_a_region_without_a_ready_pod_has_no_timing() -> None:
    assert finished_wake(region(pod(ready_at=None))) is None
    assert finished_wake(replace(region(pod()), workloads=())) is None


any_seconds = st.floats(0, allow_nan=False, allow_infinity=False)
instants = st.none() | st.floats(WOKEN - 100, WOKEN + 1000)
reports = st.none() | st.builds(StartUpState, any_seconds, any_seconds, any_seconds, st.floats(-1e308, 1e308))


@given(instants, instants, instants, st.floats(WOKEN, WOKEN + 1000), reports)
def test_property_parts_are_never_negative_and_add_up(
    scheduled: float | None, sandbox: float | None, started: float | None, ready: float, start_up: StartUpState | None
) -> None:
    first = pod(scheduled_at=scheduled, sandbox_at=sandbox, started_at=started, ready_at=ready)
    wake = timing(region(first, start_up))
    assert sum(seconds(wake).values()) == pytest.approx(float(wake.total_seconds or 0))
    assert min(seconds(wake).values()) >= 0
    assert float(wake.total_seconds or 0) == pytest.approx((to_seconds(wake.ready_at) or 0) - WOKEN, abs=0.01)


def test_the_progress_of_a_wake_is_that_of_the_farthest_pod() -> None:
    behind, ahead = pod(sandbox_at=None, started_at=None, ready_at=None), pod(started_at=None, ready_at=None)
    leaving = replace(pod(), is_deleting=True)
    observed = replace(region(behind), pods=(leaving, behind, ahead))
    known = WakeProgress(WOKEN, "RequestHeld", scheduled_at=WOKEN + 1, sandbox_at=WOKEN + 1.5)
    assert wake_progress(observed, WOKEN, "RequestHeld") == known
    assert wake_progress(replace(observed, pods=()), WOKEN, "RequestHeld") == WakeProgress(WOKEN, "RequestHeld")
