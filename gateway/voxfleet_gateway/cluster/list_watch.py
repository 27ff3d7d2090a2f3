"""Keeps a receiver up to date with the objects of one path: list, then watch from that version on, until cancelled.

Knows: resourceVersions, bookmarks; that a watch which is too old needs a new list, and one that breaks is continued
after a pause with back-off and jitter (the reflector of client-go does the same).
Does not know: what the objects are. While the API server is away the receiver keeps what it has.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from voxfleet_gateway.errors import ClusterError, ClusterGoneError
from voxfleet_gateway.regions import ObjectKey
from voxfleet_gateway.telemetry import WATCH_RESTARTS

PAGE_SIZE = 500  # as kubectl and client-go ask for
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0  # an API server that is back is found within this time

JsonObject = dict[str, Any]

log = structlog.get_logger(__name__)


class WatchApi(Protocol):
    """The calls of KubernetesApi that a watch needs."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """Return one page of a list."""

    def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[JsonObject]:
        """Yield events until the server ends the watch."""


class Receiver(Protocol):
    """Keeps the objects of a watch; registry_watch, endpoint_watch and lease_watch implement it."""

    def replaced(self, objects: list[JsonObject]) -> None:
        """Replace all objects by those of a list."""

    def changed(self, obj: JsonObject) -> None:
        """Add or replace one object."""

    def deleted(self, obj: JsonObject) -> None:
        """Remove one object."""


@dataclass(slots=True)
class ListWatch:
    """The list and the watch of one path."""

    name: str
    api: WatchApi
    path: str
    receiver: Receiver
    label_selector: str = ""
    jitter: Callable[[], float] = random.random
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    version: str | None = None  # resourceVersion that the next watch starts from; None: list first
    pause_seconds: float = FIRST_PAUSE_SECONDS

    async def run(self) -> None:
        """List and watch until cancelled."""
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
            self.version = None  # an etcd restored from a backup refuses the old version for ever: list

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
        """Deliver events, and keep the version that a later watch continues from."""
        async for event in self.api.watch(self.path, {**self._query(), "resourceVersion": version}):
            obj = event["object"]
            if event["type"] == "DELETED":
                self.receiver.deleted(obj)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                self.receiver.changed(obj)
            # Bookmarks too: they move the version on while nothing changes, so that it does not become too old.
            self.version = str(obj["metadata"]["resourceVersion"])
            self.pause_seconds = FIRST_PAUSE_SECONDS


def object_key(obj: JsonObject) -> ObjectKey:
    """Return an object's namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
