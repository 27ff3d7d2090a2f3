"""Clients of a site, all of them on this machine.

Does: leads every host to loopback, connects from a chosen address of it, speaks.
Does not know: what serves the hosts.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


class Loopback(AbstractResolver):
    """Every host leads to this machine, as its record would."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """Return loopback's address."""
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Close nothing."""


@contextlib.asynccontextmanager
async def client_session(authority: str, client: str, seconds: float) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session from an address of loopback that trusts an authority, in PEM."""
    trusted = ssl.create_default_context(cadata=authority)
    connector = aiohttp.TCPConnector(local_addr=(client, 0), resolver=Loopback(), ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(seconds)) as session:
        yield session


async def status_of(session: aiohttp.ClientSession, url: str) -> str:
    """Return the status that a URL is answered with, or the error."""
    try:
        async with session.get(url) as answer:
            return str(answer.status)
    except aiohttp.ClientError as error:
        return repr(error)


async def nearest_region(
    session: aiohttp.ClientSession, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> str:
    """Speak until no region is waking any more, which takes the gateway some polls; return the audio of the nearest."""
    async with asyncio.timeout(60):
        while True:
            async with session.post(url, json=body, headers=headers) as answer:
                text, route = await answer.text(), answer.headers.get("Voxfleet-Route", "")
                if route == "nearest":
                    return text
                answer.raise_for_status()
            await asyncio.sleep(0.1)
