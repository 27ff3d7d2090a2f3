"""What happens once is counted once; the gauges follow the status."""

import itertools
from typing import Any

import pytest
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.writing.object_writer import NameTakenError
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.resources import LastWake, Phase, RegionStatus, VoxTTSDeploymentStatus
from voxfleet_operator.telemetry import Metrics
from voxfleet_operator.work_queue import WorkQueue
from voxfleet_operator.worker import error_reason

PARTS = {"node": 24.0, "container": 0.9, "image": 0.3, "process": 1.1, "weights": 10.0, "warm_up": 4.1}


def status(wake: LastWake | None) -> VoxTTSDeploymentStatus:
    return VoxTTSDeploymentStatus(regions=[RegionStatus(name="eu", phase=Phase.AWAKE, last_wake=wake)])


def wake(started_at: str = "2026-11-23T20:14:07.000000Z", **parts: float) -> LastWake:
    given = {f"{name}_seconds": str(seconds) for name, seconds in parts.items()}
    return LastWake(started_at=started_at, ready_at=started_at, total_seconds="41.2", **given)


def value(metrics: Metrics, name: str, /, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"voxfleet_operator_{name}", labels) or 0.0


def test_a_wake_is_observed_once_and_its_parts_when_they_are_known() -> None:
    metrics = Metrics()
    steps = [None, wake(node=24.0), wake(node=24.0), wake(**PARTS), wake(**PARTS)]
    for before, after in itertools.pairwise(steps):
        metrics.observe_wakes(status(before), status(after))
    assert value(metrics, "wake_seconds_count") == 1
    for phase, seconds in PARTS.items():
        assert value(metrics, "wake_phase_seconds_count", phase=phase) == 1
        assert value(metrics, "wake_phase_seconds_sum", phase=phase) == pytest.approx(seconds)
    metrics.observe_wakes(status(wake(**PARTS)), status(wake("2026-11-23T21:00:00.000000Z", **PARTS)))
    assert value(metrics, "wake_seconds_count") == 2
    assert value(metrics, "wake_phase_seconds_count", phase="node") == 2


def test_the_parts_of_wakes_begin_with_zero_so_that_the_first_wake_is_a_rise() -> None:
    registry = Metrics().registry
    counts = [
        registry.get_sample_value("voxfleet_operator_wake_phase_seconds_count", {"phase": each}) for each in PARTS
    ]
    assert counts == [0.0] * len(PARTS)


async def test_regions_replicas_and_conditions_follow_the_status(loop: Any) -> None:
    key = loop.create("eu", "us")
    loop.metrics.observe(loop.index.resources.values, float, float)
    await loop.reconcile()
    loop.renew()
    await loop.reconcile()
    region = {"namespace": key.namespace, "name": key.name}
    assert value(loop.metrics, "region_phase", **region, region="eu", phase="Waking") == 1
    assert value(loop.metrics, "region_phase", **region, region="us", phase="Asleep") == 1
    assert value(loop.metrics, "desired_replicas", **region, region="eu") == 1
    loop.add_ready_pod()
    await loop.reconcile()
    assert value(loop.metrics, "ready_replicas", **region, region="eu", pool="ondemand") == 1
    assert value(loop.metrics, "region_phase", **region, region="eu", phase="Waking") == 0
    ready = {"type": "Ready", "status": "True", "reason": "Serving"}
    assert value(loop.metrics, "condition", **region, **ready) == 1
    loop.index.remove(key)
    assert value(loop.metrics, "condition", **region, **ready) == 0


async def test_the_oldest_key_is_known_until_it_is_taken() -> None:
    now = 100.0
    queue: WorkQueue[str] = WorkQueue(lambda: now)
    assert queue.oldest_seconds() == 0
    queue.add("a")
    now += 5
    queue.add("b")
    queue.add_first("a")
    assert queue.oldest_seconds() == 5
    assert await queue.get() == "a"
    assert queue.oldest_seconds() == 0
    now += 2
    assert queue.oldest_seconds() == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KubernetesError(0, ""), "unreachable"),
        (KubernetesError(429, ""), "throttled"),
        (KubernetesError(418, ""), "rejected"),
        (KubernetesError(503, ""), "server_error"),
        (NameTakenError("taken"), "name_taken"),
    ],
)
def test_errors_have_few_reasons(error: KubernetesError | NameTakenError, reason: str) -> None:
    assert error_reason(error) == reason


async def test_an_error_is_counted_once_by_its_reason(loop: Any) -> None:
    loop.create()
    loop.api.failing[ObjectRef("Service", "default", "narrator").path] = KubernetesError(429, "slow down")
    await loop.worker.process(await loop.queue.get())
    assert value(loop.metrics, "reconcile_errors_total", reason="throttled") == 1
    assert value(loop.metrics, "reconciles_total", result="error") == 1
