"""An attempt without a byte ends at its limit, or when its pod is gone, and is counted meanwhile."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint, PodState
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.pods.attempts import Attempts


def new_pod() -> PodState:
    return PodState(PodEndpoint(PodAddress("10.0.0.1")))


async def test_the_limit_is_a_timeout() -> None:
    attempts, pod = Attempts(), new_pod()

    async def attempt() -> None:
        async with attempts.first_byte(pod, 0.01):
            assert pod.unanswered == 1
            await asyncio.sleep(60)

    with pytest.raises(UpstreamFailedError) as caught:
        await attempt()
    assert (caught.value.failure, pod.unanswered, attempts.timers) == (UpstreamFailure.TIMEOUT, 0, {})


async def test_a_timeout_of_what_is_inside_passes_as_it_is() -> None:
    attempts, pod = Attempts(), new_pod()

    async def attempt() -> None:
        async with attempts.first_byte(pod, 60):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await attempt()
    assert pod.unanswered == 0


@given(st.lists(st.sampled_from(["begin", "end", "give up"]), max_size=20))
def test_in_any_order_each_attempt_ends_once_and_the_count_is_right(steps: list[str]) -> None:
    asyncio.run(run(steps))


async def run(steps: list[str]) -> None:
    attempts, pod = Attempts(), new_pod()
    tasks: list[asyncio.Task[None]] = []

    async def attempt() -> None:
        async with attempts.first_byte(pod, 60):
            await asyncio.Event().wait()

    for step in steps:
        waiting = [task for task in tasks if not task.done()]
        if step == "begin":
            tasks.append(asyncio.create_task(attempt()))
        elif step == "end" and waiting:
            waiting[0].cancel()
        elif step == "give up":
            assert attempts.give_up(pod) == len(waiting)
        for _ in range(5):
            await asyncio.sleep(0)
        assert pod.unanswered == sum(not task.done() for task in tasks)
    attempts.give_up(pod)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, UpstreamFailedError | asyncio.CancelledError) for each in results)
    assert (pod.unanswered, attempts.timers) == (0, {})
