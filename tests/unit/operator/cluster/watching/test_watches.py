"""A watch lists all pages, follows, and lists again after an expired version or a break, which its handler learns."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.watching.watches import MOST_PAGES, list_and_watch
from voxfleet_operator.kinds import Watch

PODS = Watch("Pod", "label")


def named(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


class Script:
    """An API server that answers from a script, then stays silent."""

    def __init__(self, pages: list[Any], watches: list[Any]) -> None:
        self.pages, self.watches = pages, watches
        self.fields: list[str | None] = []
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
        self.fields.append(query.get("fieldSelector"))
        for event in self.watches.pop(0) if self.watches else []:
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.watches:
            await asyncio.Event().wait()


class Recorder:
    """A handler that records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.changed = asyncio.Event()

    def record(self, call: str) -> None:
        self.calls.append(call)
        self.changed.set()

    def on_list(self, _watch: Watch, bodies: list[Any]) -> None:
        self.record("listed " + ",".join(body["metadata"]["name"] for body in bodies))

    def on_change(self, _watch: Watch, body: Any) -> None:
        self.record(f"changed {body['metadata']['name']}")

    def on_delete(self, _watch: Watch, body: Any) -> None:
        self.record(f"removed {body['metadata']['name']}")

    def on_broken(self, _watch: Watch, _error: str) -> None:
        self.record("broken")


def page(*names: str, version: str = "10", token: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version, "continue": token}, "items": [named(name) for name in names]}


async def recorded(script: Script, until: int, watch: Watch = PODS) -> list[str]:
    recorder = Recorder()
    task = asyncio.create_task(list_and_watch(script, watch, recorder))  # type: ignore[arg-type] # stands in for KubernetesApi
    async with asyncio.timeout(60):
        while len(recorder.calls) < until:
            recorder.changed.clear()
            await recorder.changed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return recorder.calls


async def test_all_pages_are_one_listing() -> None:
    script = Script([page("a", token="more"), page("b", version="11")], [[]])
    assert await recorded(script, 1) == ["listed a,b"]
    assert script.listed[1].endswith("&continue=more")


async def test_listing_and_watch_are_narrowed_by_the_same_fields() -> None:
    script = Script([page("a")], [[{"type": "ADDED", "object": named("b", "12")}]])
    await recorded(script, 2, Watch("Pod", "", fields="involvedObject.kind=Pod,source!=kubelet"))
    assert "&fieldSelector=involvedObject.kind=Pod,source!=kubelet&" in script.listed[0]
    assert script.fields == ["involvedObject.kind=Pod,source!=kubelet"]


async def test_events_are_delivered_and_a_watch_that_ends_normally_continues_from_the_last_version() -> None:
    first = [
        {"type": "ADDED", "object": named("b", "12")},
        {"type": "DELETED", "object": named("a", "13")},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}},
    ]
    script = Script([page("a")], [first, [{"type": "MODIFIED", "object": named("b", "21")}]])
    assert await recorded(script, 4) == ["listed a", "changed b", "removed a", "changed b"]
    assert script.versions == ["10", "20"]


async def test_an_expired_version_is_followed_by_a_listing() -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    script = Script([page("a"), page("b", version="30")], [[gone], []])
    assert await recorded(script, 3) == ["listed a", "broken", "listed b"]
    assert script.versions[-1] == "30"


@pytest.mark.parametrize(
    "error", [aiohttp.ClientPayloadError("cut"), TimeoutError(), KubernetesError(0, "not reached")]
)
async def test_every_break_is_reported_and_followed_by_a_listing(error: Exception) -> None:
    script = Script([page("a"), page("a")], [[error], []])
    assert await recorded(script, 3) == ["listed a", "broken", "listed a"]


async def test_a_failed_listing_is_retried() -> None:
    script = Script([KubernetesError(403, "forbidden"), page("a")], [[]])
    assert await recorded(script, 2) == ["broken", "listed a"]


async def test_a_listing_without_an_end_is_given_up() -> None:
    """As the API server of a remote region may send it, which its author runs."""
    endless = [{**page("a"), "metadata": {"resourceVersion": "1", "continue": "more"}} for _ in range(MOST_PAGES)]
    script = Script([*endless, page("b")], [[]])
    assert await recorded(script, 2) == ["broken", "listed b"]
