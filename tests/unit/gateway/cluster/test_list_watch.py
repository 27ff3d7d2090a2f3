"""The copy stays current through lists, watches, breaks and outages of the API server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from voxfleet_gateway.cluster import list_watch
from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.errors import ClusterGoneError, ClusterUnavailableError


def obj(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"namespace": "n", "name": name, "resourceVersion": str(version)}}


class Copy:
    """A receiver that keeps the names."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.lists = 0

    def replaced(self, objects: list[dict[str, Any]]) -> None:
        self.lists += 1
        self.names = {found["metadata"]["name"] for found in objects}

    def changed(self, found: dict[str, Any]) -> None:
        self.names.add(found["metadata"]["name"])

    def deleted(self, found: dict[str, Any]) -> None:
        self.names.discard(found["metadata"]["name"])


class Script:
    """An API server that does what the script says, then nothing more."""

    def __init__(self, pages: list[Any], watches: list[list[Any]]) -> None:
        self.pages, self.watches = pages, watches
        self.queries: list[dict[str, str]] = []
        self.done = asyncio.Event()

    async def get(self, _path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        self.queries.append(dict(query or {}))
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        found: dict[str, Any] = page
        return found

    async def watch(self, _path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        self.queries.append(dict(query))
        if not self.watches:
            self.done.set()
            await asyncio.Event().wait()
        for event in self.watches.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


def page(*objects: dict[str, Any], version: int, following: str = "") -> dict[str, Any]:
    return {"items": list(objects), "metadata": {"resourceVersion": str(version), "continue": following}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_watch, "FIRST_PAUSE_SECONDS", 0.001)


async def follow(script: Script, copy: Copy, selector: str = "") -> ListWatch:
    watch = ListWatch("test", script, "/path", copy, selector, jitter=lambda: 0.5, pause_seconds=0.001)
    task = asyncio.create_task(watch.run())
    await asyncio.wait_for(script.done.wait(), 60)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return watch


async def test_events_are_passed_on_from_where_the_list_ended() -> None:
    events = [{"type": "ADDED", "object": obj("b", 6)}, {"type": "DELETED", "object": obj("a", 7)}]
    script, copy = Script([page(obj("a", 1), version=5)], [events]), Copy()
    watch = await follow(script, copy, "x=y")
    assert copy.names == {"b"}
    assert watch.synced.is_set()
    assert [query.get("resourceVersion") for query in script.queries] == [None, "5", "7"]
    assert all(query["labelSelector"] == "x=y" for query in script.queries)


async def test_long_lists_come_in_pages() -> None:
    script = Script([page(obj("a", 1), version=5, following="more"), page(obj("b", 2), version=5)], [])
    copy = Copy()
    await follow(script, copy)
    assert copy.names == {"a", "b"}
    assert script.queries[1]["continue"] == "more"


async def test_bookmarks_move_the_place_to_continue_from() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}}
    script, copy = Script([page(version=5)], [[bookmark, ClusterUnavailableError("reset")]]), Copy()
    await follow(script, copy)
    assert script.queries[-1]["resourceVersion"] == "99"
    assert copy.lists == 1, "no new list after a broken watch"


async def test_a_watch_too_old_lists_again() -> None:
    script = Script([page(obj("a", 1), version=5), page(obj("b", 8), version=9)], [[ClusterGoneError("410")]])
    copy = Copy()
    await follow(script, copy)
    assert (copy.lists, copy.names) == (2, {"b"})
    assert script.queries[-1]["resourceVersion"] == "9"


async def test_an_api_server_that_is_away_at_the_start_is_retried() -> None:
    away = [ClusterUnavailableError("refused")] * 3
    copy = Copy()
    watch = await follow(Script([*away, page(obj("a", 1), version=5)], []), copy)
    assert copy.names == {"a"}
    assert watch.synced.is_set()


async def test_after_a_long_absence_everything_is_listed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_watch, "LONGEST_PAUSE_SECONDS", 0.004)
    broken: list[list[Any]] = [[ClusterUnavailableError("too large resource version")] for _ in range(2)]
    copy = Copy()
    await follow(Script([page(obj("a", 9), version=900), page(obj("b", 1), version=2)], broken), copy)
    assert (copy.lists, copy.names) == (2, {"b"})


async def test_the_pause_grows_and_the_copy_stays() -> None:
    broken = [[ClusterUnavailableError("refused")] for _ in range(4)]
    copy = Copy()
    watch = await follow(Script([page(obj("a", 1), version=5)], broken), copy)
    assert watch.pause_seconds == pytest.approx(0.016)
    assert copy.names == {"a"}
