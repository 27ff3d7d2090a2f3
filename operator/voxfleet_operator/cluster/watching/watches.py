"""Keeps one watch running: list, follow, and relist when the watch expires or breaks.

Knows bookmarks, expired resource versions and broken connections. Every listing is handed over whole, so that objects
deleted meanwhile are noticed; the handler is called when a watch breaks. Does not know what the objects mean.
"""

import asyncio
import random
from typing import Any, Protocol

import aiohttp
import structlog

from voxfleet_operator.cluster.api import GONE, GoneError, KubernetesApi, KubernetesError
from voxfleet_operator.kinds import Watch

PAGE = 500  # objects per page of a listing, as in client-go's reflector
# Far more than any fleet has; the API server of a remote region must not fill the operator's memory.
MOST_PAGES = 400
# The API server ends a watch after SERVER_SECONDS and sends a bookmark about once a minute: longer silence than that
# is a broken connection.
SERVER_SECONDS = 300
SILENCE_SECONDS = 75.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0

log = structlog.get_logger(__name__)

Body = dict[str, Any]


class WatchHandler(Protocol):
    """What a watch calls; Store implements it."""

    def on_list(self, watch: Watch, bodies: list[Body]) -> None:
        """All objects of a listing."""

    def on_change(self, watch: Watch, body: Body) -> None:
        """An added or modified object."""

    def on_delete(self, watch: Watch, body: Body) -> None:
        """A deleted object."""

    def on_broken(self, watch: Watch, error: str) -> None:
        """Events may have been missed, because of the error (empty: the server ended the watch); a listing follows."""


async def list_and_watch(api: KubernetesApi, watch: Watch, handler: WatchHandler) -> None:
    """List and follow without end; the pause before a new listing grows with consecutive failures."""
    failures = 0
    while True:
        text = ""
        try:
            version = await _list(api, watch, handler)
            failures = 0
            await _follow(api, watch, handler, version)
        except (KubernetesError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            # An expired version (410) is normal after a pause and needs no back-off.
            failures += not isinstance(error, GoneError)
            text = str(error) or type(error).__name__
            log.warning("watch broken", kind=watch.kind, error=text)
        handler.on_broken(watch, text)
        pause_seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**failures)
        await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret


async def _list(api: KubernetesApi, watch: Watch, handler: WatchHandler) -> str:
    """Hand over all pages as one listing; return its resource version."""
    bodies: list[Body] = []
    token = ""
    for _ in range(MOST_PAGES):
        fields = f"&fieldSelector={watch.fields}" if watch.fields else ""
        query = f"?labelSelector={watch.selector}{fields}&limit={PAGE}" + (f"&continue={token}" if token else "")
        page = await api.get(f"{watch.path}{query}")
        bodies.extend(page.get("items") or [])
        token = page["metadata"].get("continue") or ""
        if not token:
            handler.on_list(watch, bodies)
            version: str = page["metadata"]["resourceVersion"]
            return version
    raise KubernetesError(0, f"{watch.path}: a listing of more than {MOST_PAGES * PAGE} objects")


async def _follow(api: KubernetesApi, watch: Watch, handler: WatchHandler, version: str) -> None:
    """Watch from a resource version; a watch that the server ends normally continues from the last version."""
    while True:
        query = {
            "labelSelector": watch.selector,
            **({"fieldSelector": watch.fields} if watch.fields else {}),
            "resourceVersion": version,
            "timeoutSeconds": str(SERVER_SECONDS),
        }
        async for event in api.watch(watch.path, query, SILENCE_SECONDS):
            version = _deliver(event, watch, handler) or version


def _deliver(event: Body, watch: Watch, handler: WatchHandler) -> str | None:
    """Call the handler with one event; return its resource version."""
    kind, body = event["type"], event["object"]
    if kind == "ERROR":
        error = GoneError if body.get("code") == GONE else KubernetesError
        raise error(body.get("code", 0), body.get("message", "watch error"))
    if kind == "DELETED":
        handler.on_delete(watch, body)
    elif kind != "BOOKMARK":
        handler.on_change(watch, body)
    version: str | None = body["metadata"].get("resourceVersion")
    return version
