"""Held requests are released once, in order, and leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Sequence

from voxfleet_gateway.decisions.hold_queue import ReleaseReason
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.regions import RegionKey

EU, US = RegionKey("n", "m", "eu"), RegionKey("n", "m", "us")


def new_queues() -> tuple[HoldQueues, dict[RegionKey, int]]:
    """Queues, and the counts that were read at each change."""
    counts: dict[RegionKey, int] = {}
    queues = HoldQueues(lambda key: counts.update({key: queues.held(key)}))
    return queues, counts


async def begun(*waits: Awaitable[ReleaseReason]) -> Sequence[asyncio.Future[ReleaseReason]]:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.sleep(0)
    return tasks


async def test_released_in_order_and_no_more_than_asked() -> None:
    hold_queues, counts = new_queues()
    tasks = await begun(*(hold_queues.wait(EU, hold_queues.new_ticket(9), 10) for _ in range(3)))
    assert counts[EU] == 3
    hold_queues.release(EU, 2)
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, True, False]
    assert await tasks[0] is ReleaseReason.RELEASED
    assert counts[EU] == 1
    hold_queues.release(EU, 5)
    await tasks[2]
    assert (counts[EU], hold_queues.queues, hold_queues.waiters) == (0, {}, {})


async def test_time_is_up_at_the_deadline_and_not_before() -> None:
    hold_queues, counts = new_queues()
    began = asyncio.get_running_loop().time()
    (task,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(0.05), 10))
    assert await asyncio.wait_for(task, 60) is ReleaseReason.EXPIRED
    assert asyncio.get_running_loop().time() - began > 0.045
    assert counts[EU] == 0


async def test_in_a_full_queue_a_request_expires_at_once() -> None:
    hold_queues, _ = new_queues()
    (first,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(9), 1))
    assert await hold_queues.wait(EU, hold_queues.new_ticket(9), 1) is ReleaseReason.EXPIRED
    assert not first.done()
    first.cancel()


async def test_a_client_that_leaves_frees_its_place() -> None:
    hold_queues, counts = new_queues()
    (task,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(9), 1))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (counts[EU], hold_queues.waiters) == (0, {})
    hold_queues.release(EU, 1)


async def test_draining_releases_every_request_now_and_later() -> None:
    hold_queues, _ = new_queues()
    tasks = await begun(
        hold_queues.wait(EU, hold_queues.new_ticket(9), 9), hold_queues.wait(US, hold_queues.new_ticket(9), 9)
    )
    hold_queues.drain()
    assert [await task for task in tasks] == [ReleaseReason.DRAINED] * 2
    assert await hold_queues.wait(EU, hold_queues.new_ticket(9), 9) is ReleaseReason.DRAINED
