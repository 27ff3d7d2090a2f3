"""A kind that a cluster may lack: nothing is requested until its definition is there, and its objects go with it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.cluster.api import NOT_FOUND, NotFoundError
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.watching.optional_kinds import follow
from voxfleet_operator.kinds import DEFINITIONS, Watch
from voxfleet_operator.resources import Key

MONITORS = Watch("PodMonitor", "label")
DEFINITION = Watch(DEFINITIONS["PodMonitor"].name, "", None, DEFINITIONS["PodMonitor"].fields)
DEFINED = {"metadata": {"name": "podmonitors.monitoring.coreos.com", "uid": "d", "resourceVersion": "5"}}


def monitor() -> dict[str, Any]:
    labels = names.resource_labels("default", "narrator")
    metadata = {"namespace": "default", "name": "narrator", "uid": "m", "resourceVersion": "9", "labels": labels}
    return {"kind": "PodMonitor", "metadata": metadata}


class Server:
    """An API server with one PodMonitor, once it serves them."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.serves = True

    async def get(self, path: str) -> Any:
        self.requests.append(path)
        if not self.serves:
            raise NotFoundError(NOT_FOUND, "the server could not find the requested resource")
        return {"metadata": {"resourceVersion": "9"}, "items": [monitor()]}

    async def watch(self, *_: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield


class World:
    def __init__(self) -> None:
        self.server, self.changes = Server(), 0
        self.enqueued: list[Key] = []
        self.store = Store(self.enqueued.append, self.enqueued.append, 9091, on_served=self._count)

    def _count(self) -> None:
        self.changes += 1

    @contextmanager
    def following(self) -> Iterator[None]:
        task = asyncio.create_task(follow(self.server, MONITORS, self.store))  # type: ignore[arg-type]
        try:
            yield
        finally:
            task.cancel()

    def list_definition(self, *bodies: dict[str, Any]) -> None:
        self.store.on_list(DEFINITION, list(bodies))


@pytest.fixture
def world() -> World:
    return World()


async def test_an_absent_kind_counts_as_listed_and_is_not_asked_for(world: World) -> None:
    with world.following():
        await asyncio.sleep(0)
        assert MONITORS.kind not in world.store.synced, "the definition was not listed yet"
        world.list_definition()
        await world.store.until(lambda: MONITORS.kind in world.store.synced)
        assert (world.server.requests, world.store.served, world.changes) == ([], set(), 0)


async def test_it_is_listed_when_its_definition_appears_and_dropped_when_that_goes(world: World) -> None:
    with world.following():
        world.list_definition()
        await world.store.until(lambda: MONITORS.kind in world.store.synced)
        world.store.on_change(DEFINITION, DEFINED)
        await world.store.until(lambda: "PodMonitor" in world.store.served)
        assert [ref.kind for ref in world.store.refs_of(Key("default", "narrator"), ("PodMonitor",))] == ["PodMonitor"]
        world.store.on_delete(DEFINITION, DEFINED)
        await world.store.until(lambda: "PodMonitor" not in world.store.served)
        assert not world.store.refs_of(Key("default", "narrator"), ("PodMonitor",))
        assert world.changes == 2, "resources are reconciled at both"
        count = len(world.server.requests)
        world.store.on_change(DEFINITION, DEFINED)
        await world.store.until(lambda: "PodMonitor" in world.store.served)
        assert len(world.server.requests) == count + 1


async def test_a_definition_without_our_version_keeps_no_other_kind_from_being_synced(world: World) -> None:
    world.server.serves = False
    with world.following():
        world.list_definition(DEFINED)
        await world.store.until(lambda: MONITORS.kind in world.store.synced)
        assert not world.store.served
        assert world.server.requests


async def test_a_definition_that_may_not_be_read_counts_as_absent(world: World) -> None:
    """The chart's role is older than the operator."""
    with world.following():
        world.store.on_broken(DEFINITION, "forbidden")
        await world.store.until(lambda: MONITORS.kind in world.store.synced)
        assert (world.server.requests, world.store.served) == ([], set())
