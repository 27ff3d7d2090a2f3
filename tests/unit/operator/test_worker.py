"""A worker requeues what is due, retries what failed with back-off, and survives every exception."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.writing.object_writer import NameTakenError
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.resources import Key
from voxfleet_operator.telemetry import Metrics
from voxfleet_operator.work_queue import WorkQueue
from voxfleet_operator.worker import ERROR_REASONS, RESULTS, Worker, error_reason

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

NARRATOR = Key("default", "narrator")
FRONT = ObjectRef("Service", "default", "narrator").path


async def processed(loop: Loop) -> str:
    key = await loop.queue.get()
    assert key == NARRATOR
    result: str = await loop.worker.process(key)
    return result


async def settled(loop: Loop) -> None:
    """Process what the loop's own writes have queued."""
    while len(loop.queue):
        await processed(loop)


async def test_a_failing_write_is_retried_with_growing_back_off_and_shows_as_a_condition(loop: Loop) -> None:
    loop.create()
    loop.api.failing[FRONT] = KubernetesError(500, "etcd is slow")
    for pause_seconds in (0.5, 1.0, 2.0):
        assert await processed(loop) == "error"
        assert loop.condition("Ready") == ("False", "ApplyFailed")
        assert len(loop.queue) == 0, "not before its back-off"
        loop.now += pause_seconds + 0.01
    loop.api.failing.clear()
    assert await processed(loop) == "ok"
    assert loop.condition("Ready") == ("True", "Asleep")
    assert FRONT in loop.api.objects


async def test_retry_after_is_the_shortest_pause(loop: Loop) -> None:
    loop.create()
    loop.api.failing[FRONT] = KubernetesError(429, "too many requests", retry_after_seconds=17)
    assert await processed(loop) == "error"
    loop.now += 16.9
    assert loop.queue._add_due() == pytest.approx(0.1)
    loop.now += 0.2
    assert await processed(loop) == "error"


async def test_results_are_counted(loop: Loop) -> None:
    loop.create()
    await settled(loop)
    sample = loop.metrics.registry.get_sample_value("voxfleet_operator_reconciles_total", {"result": "ok"})
    assert sample is not None
    assert sample >= 1
    assert loop.metrics.registry.get_sample_value("voxfleet_operator_reconcile_seconds_count") == sample


async def test_an_unexpected_exception_ends_neither_the_worker_nor_the_key(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    loop.create()
    with monkeypatch.context() as patch:
        patch.setattr(type(loop.reconciler), "reconcile", broken)
        assert await processed(loop) == "broken"
    loop.now += 1
    assert await processed(loop) == "ok"


async def test_a_due_time_queues_the_key_again(loop: Loop) -> None:
    loop.create(autoscaling={"wakeTimeoutSeconds": 100})
    await settled(loop)
    loop.renew()
    await settled(loop)
    assert loop.status()["regions"][0]["phase"] == "Waking"
    loop.now += 101
    assert await processed(loop) == "ok"
    assert loop.condition("Ready") == ("False", "WakeTimeout")


async def test_keys_that_are_always_due_leave_time_for_others() -> None:
    """A reconcile that sends nothing never waits, and SIGTERM, probes and watches run on the same event loop."""

    class AlwaysDue:
        count = 0

        async def reconcile(self, _key: Key, /) -> float | None:
            self.count += 1
            return 0.0

    queue: WorkQueue[Key] = WorkQueue()
    queue.add(NARRATOR)
    reconciler = AlwaysDue()
    running = asyncio.create_task(Worker(queue, reconciler, Metrics()).run())
    async with asyncio.timeout(30):
        while reconciler.count < 10:  # noqa: ASYNC110 - that this loop runs at all is the test
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_every_result_and_reason_begins_with_zero_so_that_the_first_is_a_rise() -> None:
    """For Prometheus, a series whose first value is 1 has not risen."""
    metrics = Metrics()
    Worker(WorkQueue[Key](), cast("Any", None), metrics)
    for name, label, values in (("reconciles", "result", RESULTS), ("reconcile_errors", "reason", ERROR_REASONS)):
        for value in values:
            assert metrics.registry.get_sample_value(f"voxfleet_operator_{name}_total", {label: value}) == 0


@given(st.integers(0, 599))
def test_an_error_has_one_of_the_known_reasons(status: int) -> None:
    assert error_reason(KubernetesError(status, "")) in ERROR_REASONS
    assert error_reason(NameTakenError("taken")) in ERROR_REASONS
