"""Applies many bodies, a fixed number at once, over kept connections: what the least client of Kubernetes does.

Knows server-side apply and aiohttp. Does not know what the bodies are for.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

AT_ONCE = 8  # as many as the operator has workers
FIELD_MANAGER = "voxfleet-operator"
ERRORS_FROM = 400


def apply_all(kubeconfig: Path, paths_and_bodies: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Apply all bodies.

    Raises:
        RuntimeError: the API server refused one; the message has its answer.
    """
    asyncio.run(_apply_all(kubeconfig, list(paths_and_bodies)))


async def _apply_all(kubeconfig: Path, left: list[tuple[str, dict[str, Any]]]) -> None:
    server, trust = _server_of(kubeconfig)
    left.reverse()
    connector = aiohttp.TCPConnector(ssl=trust, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(_work(session, server, left))


async def _work(session: aiohttp.ClientSession, server: str, left: list[tuple[str, dict[str, Any]]]) -> None:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    while left:
        path, body = left.pop()
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        async with session.patch(server + path, params=query, json=body, headers=headers) as response:
            text = await response.text()
            if response.status >= ERRORS_FROM:
                raise RuntimeError(f"{path}: {text[:500]}")


def _server_of(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:  # ssl loads a client's key from a file only
        pair.write(b"\n".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        pair.flush()
        trust.load_cert_chain(pair.name)
    return cluster["server"], trust
