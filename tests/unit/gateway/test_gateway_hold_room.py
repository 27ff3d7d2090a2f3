"""Waiting requests are told once, in order, and leave nothing behind."""

import asyncio
from collections.abc import Awaitable, Sequence

from voxfleet_gateway.decisions.hold_queue import Left
from voxfleet_gateway.placing.hold_room import HoldRoom
from voxfleet_gateway.regions import RegionKey

EU, US = RegionKey("n", "m", "eu"), RegionKey("n", "m", "us")


def room() -> tuple[HoldRoom, dict[RegionKey, int]]:
    counts: dict[RegionKey, int] = {}
    return HoldRoom(counts.__setitem__), counts


async def begun(*waits: Awaitable[Left]) -> Sequence[asyncio.Future[Left]]:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.sleep(0)
    return tasks


async def test_released_in_order_and_no_more_than_asked() -> None:
    hold_room, counts = room()
    tasks = await begun(*(hold_room.wait(EU, hold_room.ticket(9), 10) for _ in range(3)))
    assert counts[EU] == 3
    hold_room.release(EU, 2)
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, True, False]
    assert await tasks[0] is Left.RELEASED
    assert counts[EU] == 1
    hold_room.release(EU, 5)
    await tasks[2]
    assert (counts[EU], hold_room.queues, hold_room.waiters) == (0, {}, {})


async def test_time_is_up_at_the_deadline_and_not_before() -> None:
    hold_room, counts = room()
    began = asyncio.get_running_loop().time()
    (task,) = await begun(hold_room.wait(EU, hold_room.ticket(0.05), 10))
    assert await asyncio.wait_for(task, 60) is Left.EXPIRED
    assert asyncio.get_running_loop().time() - began > 0.045
    assert counts[EU] == 0


async def test_a_full_queue_sends_away_at_once() -> None:
    hold_room, _ = room()
    (first,) = await begun(hold_room.wait(EU, hold_room.ticket(9), 1))
    assert await hold_room.wait(EU, hold_room.ticket(9), 1) is Left.EXPIRED
    assert not first.done()
    first.cancel()


async def test_a_client_that_leaves_frees_its_place() -> None:
    hold_room, counts = room()
    (task,) = await begun(hold_room.wait(EU, hold_room.ticket(9), 1))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (counts[EU], hold_room.waiters) == (0, {})
    hold_room.release(EU, 1)


async def test_draining_answers_everyone_now_and_later() -> None:
    hold_room, _ = room()
    tasks = await begun(hold_room.wait(EU, hold_room.ticket(9), 9), hold_room.wait(US, hold_room.ticket(9), 9))
    hold_room.drain()
    assert [await task for task in tasks] == [Left.DRAINED] * 2
    assert await hold_room.wait(EU, hold_room.ticket(9), 9) is Left.DRAINED
