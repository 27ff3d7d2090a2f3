"""A watch lists all pages, follows, and lists anew when the thread is lost; the receiver hears of the break."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.kinds import Watch
from voxfleet_operator.cluster.watches import list_and_watch

PODS = Watch("Pod", "label")


def named(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


class Script:
    """An API server that plays what it is told, then is silent for ever."""

    def __init__(self, pages: list[Any], watches: list[Any]) -> None:
        self.pages, self.watches = pages, watches
        self.versions: list[str] = []
        self.listed: list[str] = []

    async def get(self, path: str) -> Any:
        self.listed.append(path)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page

    async def watch(self, _path: str, query: dict[str, str], _timeout: float) -> AsyncIterator[Any]:
        self.versions.append(query["resourceVersion"])
        for event in self.watches.pop(0) if self.watches else []:
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.watches:
            await asyncio.Event().wait()


class Notes:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def replace(self, _watched: Watch, bodies: list[Any]) -> None:
        self.heard.append("listed " + ",".join(body["metadata"]["name"] for body in bodies))

    def changed(self, _watched: Watch, body: Any) -> None:
        self.heard.append(f"changed {body['metadata']['name']}")

    def removed(self, _watched: Watch, body: Any) -> None:
        self.heard.append(f"removed {body['metadata']['name']}")

    def broken(self, _watched: Watch) -> None:
        self.heard.append("broken")


def page(*names: str, version: str = "10", token: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version, "continue": token}, "items": [named(name) for name in names]}


async def played(script: Script, until: int) -> list[str]:
    notes = Notes()
    task = asyncio.create_task(list_and_watch(script, PODS, notes))  # type: ignore[arg-type] # plays the API
    async with asyncio.timeout(60):
        while len(notes.heard) < until:  # noqa: ASYNC110 - the list tells nobody when it grows
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return notes.heard


async def test_all_pages_are_one_listing() -> None:
    script = Script([page("a", token="more"), page("b", version="11")], [[]])
    assert await played(script, 1) == ["listed a,b"]
    assert script.listed[1].endswith("&continue=more")


async def test_events_are_handed_on_and_a_watch_that_ends_in_order_goes_on_from_the_last_version() -> None:
    first = [
        {"type": "ADDED", "object": named("b", "12")},
        {"type": "DELETED", "object": named("a", "13")},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}},
    ]
    script = Script([page("a")], [first, [{"type": "MODIFIED", "object": named("b", "21")}]])
    assert await played(script, 4) == ["listed a", "changed b", "removed a", "changed b"]
    assert script.versions == ["10", "20"]


async def test_a_version_too_old_means_listing_anew() -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    script = Script([page("a"), page("b", version="30")], [[gone], []])
    assert await played(script, 3) == ["listed a", "broken", "listed b"]
    assert script.versions[-1] == "30"


@pytest.mark.parametrize(
    "error", [aiohttp.ClientPayloadError("cut"), TimeoutError(), KubernetesError(0, "not reached")]
)
async def test_every_break_is_told_and_mended(error: Exception) -> None:
    script = Script([page("a"), page("a")], [[error], []])
    assert await played(script, 3) == ["listed a", "broken", "listed a"]


async def test_a_listing_that_fails_is_tried_again() -> None:
    script = Script([KubernetesError(403, "forbidden"), page("a")], [[]])
    assert await played(script, 2) == ["broken", "listed a"]
