"""Each key is queued once, never processed twice at a time, never lost, and delayed after failures."""

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
            return await queue.get()
    except TimeoutError:
        return None


async def test_a_key_is_queued_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get(), await taken(queue)] == ["a", "b", None]


async def test_an_add_during_processing_is_neither_lost_nor_parallel() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert await taken(queue) is None
    queue.done("a")
    assert await taken(queue) == "a"


async def test_add_first_puts_a_key_first_and_keeps_it_single() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "c"):
        queue.add(key)
    queue.add_first("c")
    assert [await queue.get(), await queue.get(), await queue.get(), await taken(queue)] == ["c", "a", "b", None]
    queue.add_first("a")
    assert await taken(queue) is None, "it is being processed"
    queue.done("a")
    assert await taken(queue) == "a"


async def test_the_earlier_of_two_deadlines_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_at("a", 200)
    queue.add_at("a", 110)
    queue.add_at("a", 300)
    assert await taken(queue) is None
    clock.now = 111
    assert await taken(queue) == "a"
    queue.done("a")
    clock.now = 400
    assert await taken(queue) is None, "a deadline queues a key once"


async def test_the_back_off_doubles_up_to_a_bound() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock, jitter=lambda: 1.0)
    pauses = []
    for _ in range(10):
        queue.add("a")
        await queue.get()
        pauses.append(queue.retry("a"))
        clock.now += pauses[-1] + 1
        await queue.get()
        queue._processing.clear()
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == 120.0


async def test_the_server_may_ask_for_a_longer_pause_up_to_the_same_bound() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock(), jitter=lambda: 1.0)
    assert [queue.retry("a", 30.0), queue.retry("a", 0.1), queue.retry("a", 9000.0)] == [30.0, 1.0, 120.0]


async def test_done_resets_the_back_off() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock(), jitter=lambda: 1.0)
    for _ in range(3):
        queue.retry("a")
    queue.done("a")
    assert queue.retry("a") == pytest.approx(0.5)


async def test_a_waiting_get_returns_when_a_key_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0.01)
    queue.add("a")
    async with asyncio.timeout(60):
        assert await waiting == "a"


async def test_keys_of_cancelled_workers_are_queued_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0, "it is being processed"
    queue.requeue_processing()
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0
