"""A client in Shanghai, two clusters: served nearby, held, spilled and moved, each with the reason that is reported."""

import asyncio
import functools
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

# conftest.World: pytest loads test folders without packages, so nothing can be imported from it by name.
World = Any

VIRGINIA, SHANGHAI = "virginia", "shanghai"
CLIENT, SUBNET = "20.0.1.9", "20.0.1.0/24"  # in Shanghai, by the test's location database
AMERICAN = "40.0.0.9"
WAIT_SECONDS = 120.0  # of a loaded machine
HOLD_SECONDS = 110
FULL = {"free_rows": 0, "running_sequences": 8, "waiting_sequences": 400}


async def until(is_true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Reports between the gateways, and what the operator does, take a moment."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not await is_true():  # noqa: ASYNC110  # of other processes
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"not within {WAIT_SECONDS} s: {what}")


async def spoken(world: World, region: str, client: str, expected: tuple[str, str, str]) -> None:
    seen: list[Any] = []

    async def is_expected() -> bool:
        seen[:] = [await world.speak(region, client)]
        return seen == [expected]

    try:
        await until(is_expected, f"{client} at {region} is served as {expected}")
    except pytest.fail.Exception:
        pytest.fail(f"{client} at {region} got {seen}, not {expected}; {await world.explain(region, client)}")


async def resolved(world: World, subnet: str, region: str) -> None:
    async def is_right() -> bool:
        return await asyncio.to_thread(world.resolve, subnet) == region

    await until(is_right, f"DNS sends {subnet} to {region}")


async def until_seen(is_true: Callable[[], bool], what: str) -> None:
    await until(lambda: asyncio.to_thread(is_true), what)


async def words(world: World, region: str, client: str, *fragments: str) -> None:
    """The reason in words, as `voxfleet route explain` prints it."""
    explained = await world.explain(region, client)
    text = explained["words"]["summary"]
    line = f"{client} at {region}: {explained['action']} {explained['region']} ({explained['route']})"
    sys.stdout.write(f"\n{line}\n  {text}\n")
    for fragment in fragments:
        assert fragment in text


async def wake(world: World, region: str) -> None:
    """Wait until the operator has asked the region's cluster for a server, and start it as the kubelet would."""
    await until_seen(lambda: world.clusters[region].replicas() == 1, f"a server is asked for in {region}")
    await asyncio.to_thread(world.clusters[region].start_server)


async def ready(world: World) -> None:
    """Both clusters have their objects, both gateways know the model."""
    for region, cluster in world.clusters.items():
        await until_seen(functools.partial(world.is_listening, region), f"the gateway of {region} listens")
        await until_seen(cluster.has_resource, f"the operator has made the objects of {region}")


async def event(rows: AsyncIterator[dict[str, Any]], region: str, **expected: Any) -> dict[str, Any]:
    """The first row of the stream that says this of the region; `part`: what its wake is at."""
    seen: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            async for row in rows:
                if row["region"] != region:
                    continue
                parts = row["wake"]["parts"] if row["wake"] else ()
                part = next((each["name"] for each in parts if each["state"] == "current"), None)
                seen.append({name: (row | {"part": part})[name] for name in expected})
                if seen[-1] == expected:
                    return row
    except TimeoutError:
        pass
    pytest.fail(f"no event of {region} with {expected}; seen: {seen}")


async def both_regions(world: World, region: str, other: str) -> None:
    """The page of one gateway has the region of the other cluster, by its own gateway's report."""

    async def are_shown() -> bool:
        rows = {row["region"]: row for row in (await world.fleet(region))["regions"]}
        assert {name: row["is_here"] for name, row in rows.items()} == {region: True, other: False}
        return bool(rows[other]["known_by"] == "peer" and not rows[other]["fault"])

    await until(are_shown, f"the fleet page of {region} shows {other}")


async def woken_by_a_request(world: World) -> None:
    """All regions sleep: the request is held, its region's Lease renewed, the server asked for through the kubeconfig.

    The fleet page of the other cluster shows it waking, what is held for it, and the parts of the wake as they come.
    """
    await both_regions(world, VIRGINIA, SHANGHAI)
    server = world.clusters[SHANGHAI].server
    async with world.fleet_events(VIRGINIA) as rows:
        await event(rows, SHANGHAI, phase="Asleep")
        server.load = {"state": "loading", "free_rows": 0}
        held = asyncio.ensure_future(world.speak(SHANGHAI, CLIENT, HOLD_SECONDS))
        await event(rows, SHANGHAI, phase="Waking", known_by="peer", held_requests=1, silent_gateways=0)
        await wake(world, SHANGHAI)
        await event(rows, SHANGHAI, phase="Waking", part="weights")
        server.load = {"state": "warming", "free_rows": 0}
        await event(rows, SHANGHAI, phase="Waking", part="warm_up")
        server.load = {}
        awake = await event(rows, SHANGHAI, phase="Awake", held_requests=0)
        assert [(pool["ready"], pool["starting"]) for pool in awake["pools"]] == [(1, 0)]
    assert await held == (SHANGHAI, SHANGHAI, "hold-wake")
    assert world.clusters[VIRGINIA].replicas() == 0, "the other region went on sleeping"


@pytest.mark.timeout(900)
async def test_a_client_in_shanghai(world: World) -> None:
    await ready(world)
    locals_of = {
        name: {each["name"]: each["local"] for each in cluster.registry()["regions"]}
        for name, cluster in world.clusters.items()
    }
    assert locals_of[VIRGINIA] == {VIRGINIA: True, SHANGHAI: False}
    assert locals_of[SHANGHAI] == {VIRGINIA: False, SHANGHAI: True}

    # DNS sends each client to the region near it, by its resolver's client subnet.
    await resolved(world, SUBNET, SHANGHAI)
    await resolved(world, "40.0.0.0/24", VIRGINIA)

    await woken_by_a_request(world)

    # Nearby: at its own gateway, and through the other cluster's, which knows the client by X-Forwarded-For.
    await spoken(world, SHANGHAI, CLIENT, (SHANGHAI, SHANGHAI, "nearest"))
    await spoken(world, VIRGINIA, CLIENT, (SHANGHAI, SHANGHAI, "nearest"))
    await words(world, VIRGINIA, CLIENT, SHANGHAI)

    # The button of Shanghai's fleet page wakes the region of the other cluster. An American client is served from
    # Shanghai meanwhile, or held.
    await both_regions(world, SHANGHAI, VIRGINIA)
    async with world.fleet_events(SHANGHAI) as rows:
        await event(rows, VIRGINIA, phase="Asleep")
        status, answer = await world.wake(SHANGHAI, VIRGINIA)
        assert (status, answer["region"], answer["state"]) == (202, VIRGINIA, "waking")
        await event(rows, VIRGINIA, phase="Waking", known_by="peer")
        woken = asyncio.ensure_future(world.speak(VIRGINIA, AMERICAN, HOLD_SECONDS))
        await wake(world, VIRGINIA)
        await event(rows, VIRGINIA, phase="Awake")
        await woken
    await spoken(world, VIRGINIA, AMERICAN, (VIRGINIA, VIRGINIA, "nearest"))

    # Full: the next region serves.
    world.clusters[SHANGHAI].server.load = dict(FULL)
    await spoken(world, SHANGHAI, CLIENT, (VIRGINIA, VIRGINIA, "spill-load"))
    await words(world, SHANGHAI, CLIENT, VIRGINIA)
    world.clusters[SHANGHAI].server.load = {}
    await spoken(world, SHANGHAI, CLIENT, (SHANGHAI, SHANGHAI, "nearest"))

    # The region vanishes: DNS answers the other one, whose gateway serves the client itself.
    await asyncio.to_thread(world.gateways[SHANGHAI].end, signal.SIGKILL)
    await resolved(world, SUBNET, VIRGINIA)
    await spoken(world, VIRGINIA, CLIENT, (VIRGINIA, VIRGINIA, "nearest"))
    await words(world, VIRGINIA, CLIENT, VIRGINIA)
