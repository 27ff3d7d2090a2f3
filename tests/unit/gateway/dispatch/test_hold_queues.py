"""Held requests are released once, in order, and leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Sequence

from voxfleet_gateway.decisions.hold.hold_queue import ReleaseReason
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.regions import RegionKey

HERE = frozenset({"eu"})
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
    tickets = [hold_queues.new_ticket(9) for _ in range(3)]
    tasks = await begun(*(hold_queues.wait(EU, ticket, 10, HERE) for ticket in tickets))
    assert counts[EU] == 3
    hold_queues.release(EU, {"eu": 2})
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, True, False]
    assert await tasks[0] is ReleaseReason.RELEASED
    assert counts[EU] == 3, "places are kept until requests are sent or gone"
    assert hold_queues.leave(tickets[0])
    assert not hold_queues.leave(tickets[0])
    hold_queues.leave(tickets[1])
    assert counts[EU] == 1
    hold_queues.release(EU, {"eu": 5})
    await tasks[2]
    hold_queues.leave(tickets[2])
    assert (counts[EU], hold_queues.queues, hold_queues.waiters) == (0, {}, {})
    assert (hold_queues.by_model, hold_queues.places) == ({}, {})


async def test_time_is_up_at_the_deadline_and_not_before() -> None:
    hold_queues, counts = new_queues()
    began = asyncio.get_running_loop().time()
    (task,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(0.05), 10, HERE))
    assert await asyncio.wait_for(task, 60) is ReleaseReason.EXPIRED
    assert asyncio.get_running_loop().time() - began > 0.045
    assert counts[EU] == 0


async def test_in_a_full_queue_a_request_gets_no_place() -> None:
    hold_queues, _ = new_queues()
    (first,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(9), 1, HERE))
    assert await hold_queues.wait(EU, hold_queues.new_ticket(9), 1, HERE) is ReleaseReason.FULL
    assert not first.done()
    first.cancel()


async def test_a_client_that_leaves_frees_its_place() -> None:
    hold_queues, counts = new_queues()
    ticket = hold_queues.new_ticket(9)
    (task,) = await begun(hold_queues.wait(EU, ticket, 1, HERE))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    hold_queues.leave(ticket)
    assert (counts[EU], hold_queues.waiters) == (0, {})
    hold_queues.release(EU, {"eu": 1})


async def test_draining_releases_every_request_now_and_later() -> None:
    hold_queues, _ = new_queues()
    tasks = await begun(
        hold_queues.wait(EU, hold_queues.new_ticket(9), 9, HERE),
        hold_queues.wait(US, hold_queues.new_ticket(9), 9, HERE),
    )
    hold_queues.drain()
    assert [await task for task in tasks] == [ReleaseReason.DRAINED] * 2
    assert await hold_queues.wait(EU, hold_queues.new_ticket(9), 9, HERE) is ReleaseReason.DRAINED


async def test_a_request_keeps_its_place_when_it_moves_to_a_full_queue() -> None:
    hold_queues, _ = new_queues()
    moving, other = hold_queues.new_ticket(9), hold_queues.new_ticket(9)
    (first, second) = await begun(hold_queues.wait(EU, moving, 1, HERE), hold_queues.wait(US, other, 1, HERE))
    hold_queues.release(EU, None)
    await first
    (moved,) = await begun(hold_queues.wait(US, moving, 1, HERE))
    assert not moved.done()
    assert (hold_queues.held(EU), hold_queues.held(US)) == (0, 2)
    for task in (second, moved):
        task.cancel()
