"""Keeps a watch running: list, follow, and list anew when the thread is lost.

Knows bookmarks, expired versions and broken connections. Every listing is handed over whole, so that what vanished
meanwhile is noticed; the receiver is told when a watch breaks. Does not know what the objects mean.
"""

import asyncio
import random
from typing import Any, Protocol

import aiohttp
import structlog

from voxfleet_operator.cluster.api import GoneError, KubernetesApi, KubernetesError
from voxfleet_operator.cluster.kinds import Watch

PAGE = 500
SILENCE_SECONDS = 75.0
LONGEST_PAUSE_SECONDS = 10.0
SERVER_SECONDS = 300

log = structlog.get_logger(__name__)

Body = dict[str, Any]


class Receiver(Protocol):
    """Who is told."""

    def replace(self, watched: Watch, bodies: list[Body]) -> None:
        """Everything there is, from a listing."""

    def changed(self, watched: Watch, body: Body) -> None:
        """One object is new or different."""

    def removed(self, watched: Watch, body: Body) -> None:
        """One object is gone."""

    def broken(self, watched: Watch) -> None:
        """Events may have been missed; a new listing follows."""


async def list_and_watch(api: KubernetesApi, watched: Watch, receiver: Receiver) -> None:
    """List and follow, again and again; a pause grows with failures in a row."""
    failures = 0
    while True:
        try:
            version = await _list(api, watched, receiver)
            failures = 0
            await _follow(api, watched, receiver, version)
        except (KubernetesError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            failures += not isinstance(error, GoneError)
            log.warning("watch broken", kind=watched.kind, error=str(error) or type(error).__name__)
        receiver.broken(watched)
        pause_seconds = min(LONGEST_PAUSE_SECONDS, 0.1 * 2**failures)
        await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret


async def _list(api: KubernetesApi, watched: Watch, receiver: Receiver) -> str:
    """All pages; handed over at once."""
    bodies: list[Body] = []
    token = ""
    while True:
        query = f"?labelSelector={watched.selector}&limit={PAGE}" + (f"&continue={token}" if token else "")
        page = await api.get(f"{watched.path}{query}")
        bodies.extend(page.get("items") or [])
        token = page["metadata"].get("continue") or ""
        if not token:
            receiver.replace(watched, bodies)
            version: str = page["metadata"]["resourceVersion"]
            return version


async def _follow(api: KubernetesApi, watched: Watch, receiver: Receiver, version: str) -> None:
    """One watch after another from the last version seen, while the server ends them in good order."""
    while True:
        query = {
            "labelSelector": watched.selector,
            "resourceVersion": version,
            "timeoutSeconds": str(SERVER_SECONDS),
        }
        async for event in api.watch(watched.path, query, SILENCE_SECONDS):
            version = _delivered(event, watched, receiver) or version


def _delivered(event: Body, watched: Watch, receiver: Receiver) -> str | None:
    """Hand one event on; returns its version."""
    kind, body = event["type"], event["object"]
    if kind == "ERROR":
        error = GoneError if body.get("code") == GONE_CODE else KubernetesError
        raise error(body.get("code", 0), body.get("message", "watch error"))
    if kind == "DELETED":
        receiver.removed(watched, body)
    elif kind != "BOOKMARK":
        receiver.changed(watched, body)
    version: str | None = body["metadata"].get("resourceVersion")
    return version


GONE_CODE = 410
