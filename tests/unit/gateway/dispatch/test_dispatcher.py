"""The dispatcher decides again when something changes, and refuses with the right code when time is up."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.dispatch.target import Target
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import DEFAULT_SERVING, ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.request_context import RequestContext

EU = RegionKey("default", "narrator", "eu")
ADDRESS = PodAddress("10.0.0.1")


class World:
    """A dispatcher with one model; the test sets the pods of its regions."""

    def __init__(self, *regions: RegionEntry, **fields: Any) -> None:
        self.pods: dict[str, tuple[PodEndpoint, ...]] = {}
        self.demand: list[RegionKey] = []
        self.put_model(*regions, **fields)
        queues = HoldQueues(lambda _key: None)
        self.fleet = Fleet(lambda: self.registry, lambda service: self.pods.get(service[1], ()), dict, queues.held)
        self.dispatcher = Dispatcher(self.fleet, queues, self.demand.append)
        self.fleet.on_region_change = self.dispatcher.region_changed
        self.fleet.refresh()

    def put_model(self, *regions: RegionEntry, **fields: Any) -> None:
        schema: Any = "voxfleet.dev/registry/v1"
        model = ModelEntry(schema=schema, namespace="default", name="narrator", model="m", regions=regions, **fields)
        self.registry = Registry.of([model])

    def put_pod(self, region: str) -> None:
        self.pods[region] = (PodEndpoint(ADDRESS, is_ready=True),)
        self.fleet.refresh()

    async def find(self, hold_seconds: float = 5, tenant: str = "", audio_seconds: float = 0.0) -> Target:
        context = RequestContext("id", "POST", "/", "eu")
        ticket = self.dispatcher.hold_queues.new_ticket(hold_seconds, tenant, audio_seconds)
        return await self.dispatcher.find_target("m", RouteRequest("eu"), ticket, context)

    async def refused(self, hold_seconds: float = 5) -> Refusal:
        with pytest.raises(RequestRefusedError) as caught:
            await self.find(hold_seconds)
        return caught.value.refusal


def region(name: str, **fields: Any) -> RegionEntry:
    return RegionEntry(name=name, service=ObjectRef(namespace="default", name=name), **fields)


async def begun(*work: Awaitable[Target]) -> list[asyncio.Future[Target]]:
    tasks = [asyncio.ensure_future(each) for each in work]
    await asyncio.sleep(0)
    return tasks  # type: ignore[return-value]


async def test_a_ready_pod_is_found_at_once() -> None:
    world = World(region("eu"))
    world.put_pod("eu")
    target = await world.find()
    assert (target.key, target.pod.address) == (EU, ADDRESS)
    assert world.demand == [], "nothing to wake"


async def test_many_requests_wake_once_and_all_go_when_a_pod_comes() -> None:
    world = World(region("eu"))
    waiting = await begun(*(world.find() for _ in range(10)))
    assert world.fleet.held(EU) == 10
    assert {*world.demand} == {EU}
    world.put_pod("eu")
    assert {(await each).key for each in waiting} == {EU}
    assert world.fleet.held(EU) == 0


async def test_no_more_are_released_than_there_is_capacity_for() -> None:
    world = World(region("eu"))
    world.put_pod("eu")
    record = world.fleet.regions[EU].pods[ADDRESS]
    record.open_requests = DEFAULT_SERVING.open_limit(1)
    waiting = await begun(*(world.find() for _ in range(5)))
    assert world.fleet.held(EU) == 5, "full is waited for, like asleep"
    record.open_requests = DEFAULT_SERVING.open_limit(1) - 2
    world.fleet.refresh()
    await asyncio.gather(*waiting[:2])
    assert [each.done() for each in waiting] == [True, True, False, False, False]
    for each in waiting:
        each.cancel()


async def test_a_new_request_does_not_pass_those_that_wait() -> None:
    world = World(region("eu"))
    world.put_pod("eu")
    record = world.fleet.regions[EU].pods[ADDRESS]
    record.open_requests = DEFAULT_SERVING.open_limit(1)
    (first,) = await begun(world.find())
    record.open_requests = DEFAULT_SERVING.open_limit(1) - 1
    (second,) = await begun(world.find())
    assert not second.done(), "there is capacity, and another request has waited for it"
    world.fleet.refresh()
    await first
    record.open_requests = DEFAULT_SERVING.open_limit(1) - 1
    world.fleet.refresh()
    await second


async def test_another_region_that_wakes_first_serves_those_that_may_move() -> None:
    world = World(region("eu"), region("us"))
    (waiting,) = await begun(world.find())
    world.put_pod("us")
    assert (await waiting).key.region == "us"


async def test_a_model_that_is_removed_ends_the_waiting() -> None:
    world = World(region("eu"))
    (waiting,) = await begun(world.find())
    world.registry = Registry()
    world.fleet.refresh()
    with pytest.raises(RequestRefusedError, match="does not exist"):
        await waiting


@pytest.mark.parametrize(
    ("fields", "model", "code"),
    [({"phase": "Failed", "message": "bad weights"}, {}, "region_failed"), ({}, {"suspended": True}, "suspended")],
)
async def test_a_region_that_will_not_wake_ends_the_waiting(
    fields: dict[str, Any], model: dict[str, Any], code: str
) -> None:
    world = World(region("eu"))
    (waiting,) = await begun(world.find())
    world.put_model(region("eu", **fields), **model)
    world.fleet.refresh()
    with pytest.raises(RequestRefusedError) as caught:
        await waiting
    assert caught.value.refusal.code == code


async def test_time_is_up_with_an_estimate_of_what_is_left() -> None:
    world = World(region("eu", predicted_wake_seconds=90.0))
    refusal = await world.refused(hold_seconds=0.05)
    assert (refusal.status, refusal.code, refusal.retry_after_seconds) == (503, "region_waking", 60)
    assert refusal.wake_estimate_seconds == pytest.approx(90, abs=1)


async def test_time_is_up_in_a_full_region() -> None:
    world = World(region("eu"))
    world.put_pod("eu")
    world.fleet.regions[EU].pods[ADDRESS].open_requests = DEFAULT_SERVING.open_limit(1)
    assert (await world.refused(hold_seconds=0.05)).code == "region_full"


async def test_a_draining_gateway_refuses_those_that_wait() -> None:
    world = World(region("eu"))
    (waiting,) = await begun(world.find())
    world.dispatcher.hold_queues.drain()
    with pytest.raises(RequestRefusedError, match="shutting down"):
        await waiting


async def test_held_requests_keep_their_places_while_they_decide() -> None:
    """Another region is awake that this client may not use: its reports must not cost a place."""
    world = World(region("eu"), region("us", allowed_clients=("US",)), gateway={"max_held_requests": 4})
    world.put_pod("us")
    waiting = await begun(*(world.find() for _ in range(4)))
    for _ in range(20):
        world.dispatcher.region_changed(EU)
        newcomer = (await begun(world.find()))[0]
        await asyncio.sleep(0)
        with pytest.raises(RequestRefusedError) as caught:
            await newcomer
        assert caught.value.refusal.code == "too_many_waiting"
    assert not any(each.done() for each in waiting)
    world.dispatcher.hold_queues.release(EU, None)
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting), "a full queue is full for others"
    world.put_pod("eu")
    assert {(await each).key for each in waiting} == {EU}


@pytest.mark.parametrize("held", [60, 256])
async def test_each_held_request_decides_twice_however_many_events_arrive(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = 0

    def counting(*arguments: Any) -> Any:
        nonlocal decisions
        decisions += 1
        return decide(*arguments)

    monkeypatch.setattr("voxfleet_gateway.dispatch.dispatcher.decide", counting)
    world = World(region("eu"))

    async def serve() -> None:
        target = await world.find(30)
        with target.sending():
            for _ in range(3):
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(serve()) for _ in range(held)]
    await asyncio.sleep(0)
    assert world.fleet.held(EU) == held
    world.put_pod("eu")
    while not all(task.done() for task in tasks):
        world.fleet.refresh()  # an event
        await asyncio.sleep(0)
    assert decisions == 2 * held
    assert world.fleet.held(EU) == 0


async def test_a_request_that_was_sent_before_is_held_again_though_the_queue_is_full() -> None:
    world = World(region("eu"), gateway={"max_held_requests": 1})
    (waiting,) = await begun(world.find())
    context = RequestContext("id", "POST", "/", "eu", attempts=1)
    ticket = world.dispatcher.hold_queues.new_ticket(5)
    (retried,) = await begun(world.dispatcher.find_target("m", RouteRequest("eu"), ticket, context))
    assert not retried.done()
    world.put_pod("eu")
    await asyncio.gather(waiting, retried)


async def test_a_client_that_leaves_while_held_frees_its_place() -> None:
    world = World(region("eu"), gateway={"max_held_requests": 1})
    (first,) = await begun(world.find())
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert world.fleet.held(EU) == 0
    (second,) = await begun(world.find())
    assert not second.done()
    second.cancel()


async def test_the_places_of_a_new_pod_are_shared_by_the_tenants_that_wait() -> None:
    world = World(region("eu"))
    world.put_pod("eu")
    record = world.fleet.regions[EU].pods[ADDRESS]
    record.open_requests = DEFAULT_SERVING.open_limit(1)
    world.fleet.refresh()
    many = await begun(*(world.find(tenant="many", audio_seconds=10) for _ in range(40)))
    few = await begun(*(world.find(tenant="few", audio_seconds=10) for _ in range(4)))
    record.open_requests -= 8
    world.fleet.refresh()
    await asyncio.gather(*few, *many[:4])
    assert [each.done() for each in many] == [True] * 4 + [False] * 36
    for each in many:
        each.cancel()


async def test_one_tenant_cannot_take_the_last_places_of_a_model() -> None:
    world = World(region("eu"), gateway={"max_held_requests": 8})
    of_one = await begun(*(world.find(tenant="one") for _ in range(8)))
    assert world.fleet.held(EU) == 6
    (other,) = await begun(world.find(tenant="other"))
    assert not other.done()
    for each in of_one[6:]:
        with pytest.raises(RequestRefusedError) as caught:
            await each
        refusal = caught.value.refusal
        assert (refusal.code, refusal.status) == ("too_many_waiting", 503)
        assert 1 <= (refusal.retry_after_seconds or 0) <= 60
    for each in (*of_one[:6], other):
        each.cancel()
