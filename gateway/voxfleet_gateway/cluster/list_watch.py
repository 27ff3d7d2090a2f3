"""Keeps a local copy of some objects: list, then watch from there, for ever.

Knows: resourceVersions, bookmarks, what to do when a watch is too old (list again) or breaks (continue after a pause
that grows and jitters).
Does not know: what the objects are; its owner gets the whole set after each list and single changes after that.
The last copy stays in use while the API server is away.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from voxfleet_gateway.errors import ClusterError, ClusterGoneError
from voxfleet_gateway.telemetry import WATCH_RESTARTS

PAGE_SIZE = 500
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0

JsonObject = dict[str, Any]
ObjectKey = tuple[str, str]  # namespace, name

log = structlog.get_logger(__name__)


class ListsAndWatches(Protocol):
    """The part of the API that a copy needs."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """One page of a list."""

    def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[JsonObject]:
        """Events until the server ends the watch."""


class Receiver(Protocol):
    """Whoever wants to know."""

    def replaced(self, objects: list[JsonObject]) -> None:
        """Everything there is, after a list."""

    def changed(self, obj: JsonObject) -> None:
        """One object is new or different."""

    def deleted(self, obj: JsonObject) -> None:
        """One object is gone."""


@dataclass(slots=True)
class ListWatch:
    """One kind of object, in one namespace or all."""

    name: str
    api: ListsAndWatches
    path: str
    receiver: Receiver
    label_selector: str = ""
    jitter: Callable[[], float] = random.random
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    version: str | None = None  # up to which everything has been seen; None: list
    pause_seconds: float = FIRST_PAUSE_SECONDS

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        while True:
            try:
                if self.version is None:
                    self.version = await self._list()
                await self._watch(self.version)
                await asyncio.sleep(FIRST_PAUSE_SECONDS * self.jitter())
            except ClusterGoneError:
                self.version = None
                await asyncio.sleep(FIRST_PAUSE_SECONDS * self.jitter())
            except ClusterError as error:
                await self._back_off(error)

    async def _back_off(self, error: ClusterError) -> None:
        WATCH_RESTARTS.labels(watch=self.name).inc()
        log.warning("watch_interrupted", watch=self.name, error=str(error), retry_seconds=self.pause_seconds)
        await asyncio.sleep(self.pause_seconds * (0.5 + self.jitter()))
        self.pause_seconds = min(LONGEST_PAUSE_SECONDS, self.pause_seconds * 2)
        if self.pause_seconds == LONGEST_PAUSE_SECONDS:
            self.version = None  # after a long absence, or against a restored etcd: start from a list

    def _query(self) -> dict[str, str]:
        return {"labelSelector": self.label_selector} if self.label_selector else {}

    async def _list(self) -> str:
        objects: list[JsonObject] = []
        query = {**self._query(), "limit": str(PAGE_SIZE)}
        while True:
            page = await self.api.get(self.path, query)
            objects += page.get("items") or []
            if not (following := page["metadata"].get("continue")):
                break
            query["continue"] = following
        self.receiver.replaced(objects)
        self.synced.set()
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        """Pass events on, and note from where a later watch can continue."""
        async for event in self.api.watch(self.path, {**self._query(), "resourceVersion": version}):
            obj = event["object"]
            if event["type"] == "DELETED":
                self.receiver.deleted(obj)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                self.receiver.changed(obj)
            self.version = str(obj["metadata"]["resourceVersion"])
            self.pause_seconds = FIRST_PAUSE_SECONDS


def object_key(obj: JsonObject) -> ObjectKey:
    """Namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
