"""Each key once, never twice at a time, nothing lost, later after failures."""

import asyncio

import pytest
from voxfleet_operator.work_queue import WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def taken(queue: WorkQueue[str]) -> str | None:
    try:
        async with asyncio.timeout(0.05):
            return await queue.next()
    except TimeoutError:
        return None


async def test_a_key_waits_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.next(), await queue.next(), await taken(queue)] == ["a", "b", None]


async def test_a_call_during_the_work_is_not_lost_and_not_parallel() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.next()
    queue.add("a")
    assert await taken(queue) is None
    queue.succeeded("a")
    assert await taken(queue) == "a"


async def test_who_is_called_first_comes_first_and_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "c"):
        queue.add(key)
    queue.add_first("c")
    assert [await queue.next(), await queue.next(), await queue.next(), await taken(queue)] == ["c", "a", "b", None]
    queue.add_first("a")
    assert await taken(queue) is None, "it is in work"
    queue.succeeded("a")
    assert await taken(queue) == "a"


async def test_the_earlier_deadline_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_at("a", 200)
    queue.add_at("a", 110)
    queue.add_at("a", 300)
    assert await taken(queue) is None
    clock.now = 111
    assert await taken(queue) == "a"
    queue.succeeded("a")
    clock.now = 400
    assert await taken(queue) is None, "one deadline, one call"


async def test_failures_wait_longer_each_time_up_to_a_bound() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock, jitter=lambda: 1.0)
    pauses = []
    for _ in range(10):
        queue.add("a")
        await queue.next()
        pauses.append(queue.failed("a"))
        clock.now += pauses[-1] + 1
        await queue.next()
        queue._in_work.clear()
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == 120.0


async def test_success_forgets_the_failures() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock(), jitter=lambda: 1.0)
    for _ in range(3):
        queue.failed("a")
    queue.succeeded("a")
    assert queue.failed("a") == pytest.approx(0.5)


async def test_whoever_waits_is_woken() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0.01)
    queue.add("a")
    async with asyncio.timeout(60):
        assert await waiting == "a"
