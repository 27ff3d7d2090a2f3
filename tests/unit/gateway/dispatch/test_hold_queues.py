"""Held requests are released once, in order, and leave nothing behind."""

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from typing import Any

from voxfleet_gateway.decisions.hold.hold_queue import ReleaseReason
from voxfleet_gateway.dispatch.hold_queues import NOTIFIED_AT_ONCE, HoldQueues
from voxfleet_gateway.regions import ModelEntry, RegionKey

HERE = frozenset({"eu"})
EU, US = RegionKey("n", "m", "eu"), RegionKey("n", "m", "us")
FIELDS: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "n", "name": "m", "model": "m"}
MODEL = ModelEntry(**FIELDS)
ONE_PLACE = ModelEntry(**FIELDS, gateway={"max_held_requests": 1})
TWO_PLACES = ModelEntry(**FIELDS, gateway={"max_held_requests": 2})


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
    tasks = await begun(*(hold_queues.wait(EU, ticket, MODEL, HERE) for ticket in tickets))
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
    assert (hold_queues.by_model, hold_queues.held_for) == ({}, {})


async def test_many_released_requests_begin_a_few_in_each_turn_of_the_loop() -> None:
    hold_queues, _ = new_queues()
    many = 5 * NOTIFIED_AT_ONCE
    model = ModelEntry(**FIELDS, gateway={"max_held_requests": many})
    tickets = [hold_queues.new_ticket(9) for _ in range(many)]
    tasks = await begun(*(hold_queues.wait(EU, ticket, model, HERE) for ticket in tickets))
    hold_queues.release(EU, {"eu": many})
    done = [0]
    while done[-1] < many:
        await asyncio.sleep(0)
        done.append(sum(task.done() for task in tasks))
    assert max(after - before for before, after in itertools.pairwise(done)) <= NOTIFIED_AT_ONCE
    assert [task.result() for task in tasks] == [ReleaseReason.RELEASED] * many
    assert not hold_queues.due


async def test_a_shutdown_reaches_those_that_were_released_and_not_notified_yet() -> None:
    hold_queues, _ = new_queues()
    many = 3 * NOTIFIED_AT_ONCE
    model = ModelEntry(**FIELDS, gateway={"max_held_requests": many})
    tickets = [hold_queues.new_ticket(9) for _ in range(many)]
    tasks = await begun(*(hold_queues.wait(EU, ticket, model, HERE) for ticket in tickets))
    hold_queues.release(EU, {"eu": 2 * NOTIFIED_AT_ONCE})
    tasks[NOTIFIED_AT_ONCE].cancel()  # its client is gone before it was notified
    hold_queues.drain()
    reasons = await asyncio.gather(*tasks, return_exceptions=True)
    assert reasons.count(ReleaseReason.RELEASED) == 2 * NOTIFIED_AT_ONCE - 1
    assert reasons.count(ReleaseReason.DRAINED) == NOTIFIED_AT_ONCE


async def test_time_is_up_at_the_deadline_and_not_before() -> None:
    hold_queues, counts = new_queues()
    began = asyncio.get_running_loop().time()
    (task,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(0.05), MODEL, HERE))
    assert await asyncio.wait_for(task, 60) is ReleaseReason.EXPIRED
    assert asyncio.get_running_loop().time() - began > 0.045
    assert counts[EU] == 0


async def test_in_a_full_queue_a_request_gets_no_place() -> None:
    hold_queues, _ = new_queues()
    (first,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(9), ONE_PLACE, HERE))
    assert await hold_queues.wait(EU, hold_queues.new_ticket(9), ONE_PLACE, HERE) is ReleaseReason.FULL
    assert not first.done()
    first.cancel()


async def test_a_client_that_leaves_frees_its_place() -> None:
    hold_queues, counts = new_queues()
    ticket = hold_queues.new_ticket(9)
    (task,) = await begun(hold_queues.wait(EU, ticket, ONE_PLACE, HERE))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    hold_queues.leave(ticket)
    assert (counts[EU], hold_queues.waiters) == (0, {})
    hold_queues.release(EU, {"eu": 1})


async def test_draining_releases_every_request_now_and_later() -> None:
    hold_queues, _ = new_queues()
    tasks = await begun(
        hold_queues.wait(EU, hold_queues.new_ticket(9), MODEL, HERE),
        hold_queues.wait(US, hold_queues.new_ticket(9), MODEL, HERE),
    )
    hold_queues.drain()
    assert [await task for task in tasks] == [ReleaseReason.DRAINED] * 2
    assert await hold_queues.wait(EU, hold_queues.new_ticket(9), MODEL, HERE) is ReleaseReason.DRAINED


async def test_a_request_keeps_its_place_when_it_moves_to_another_region_s_queue() -> None:
    hold_queues, _ = new_queues()
    moving, other = hold_queues.new_ticket(9), hold_queues.new_ticket(9)
    (first, second) = await begun(
        hold_queues.wait(EU, moving, TWO_PLACES, HERE), hold_queues.wait(US, other, TWO_PLACES, HERE)
    )
    hold_queues.release(EU, None)
    await first
    (moved,) = await begun(hold_queues.wait(US, moving, TWO_PLACES, HERE))
    assert not moved.done()
    assert (hold_queues.held(EU), hold_queues.held(US)) == (0, 2)
    for task in (second, moved):
        task.cancel()


async def test_a_model_s_bound_is_shared_by_the_ready_gateways() -> None:
    hold_queues, _ = new_queues()
    replicas = [1]
    hold_queues.replicas = lambda: replicas[0]
    four = ModelEntry(**FIELDS, gateway={"max_held_requests": 4})
    assert hold_queues.free_places(four) == 4
    replicas[0] = 3
    assert hold_queues.free_places(four) == 2
    tasks = await begun(*(hold_queues.wait(EU, hold_queues.new_ticket(9), four, HERE) for _ in range(3)))
    assert await tasks[2] is ReleaseReason.FULL
    assert hold_queues.free_places(four) == 0
    for task in tasks:
        task.cancel()


async def test_expired_requests_give_their_places_back() -> None:
    hold_queues, _ = new_queues()
    (task,) = await begun(hold_queues.wait(EU, hold_queues.new_ticket(0.05), ONE_PLACE, HERE))
    assert hold_queues.free_places(ONE_PLACE) == 0
    assert await asyncio.wait_for(task, 60) is ReleaseReason.EXPIRED
    assert hold_queues.free_places(ONE_PLACE) == 1
    assert (hold_queues.places.by_model, hold_queues.places.by_tenant) == ({}, {})
