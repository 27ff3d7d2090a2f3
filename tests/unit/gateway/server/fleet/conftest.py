"""A client of the fleet page's stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest


class FleetStream:
    """Reads events; what was read is kept."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, seconds: float = 20.0) -> tuple[str, dict[str, Any]]:
        """Return the next event; a comment is ("", {}), the end raises EOFError."""
        kind, data = "", ""
        async with asyncio.timeout(seconds):
            while line := (await self.response.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(": ")
                kind, data = (value if name == "event" else kind), (value if name == "data" else data)
                if line == "\n":
                    return kind, json.loads(data or "{}")
        raise EOFError

    async def until(self, wanted: Any) -> dict[str, Any]:
        """Return the first event's data that the function accepts."""
        while True:
            _, data = await self.next()
            if data and wanted(data):
                return data


@asynccontextmanager
async def open_stream(port: int, key: str = "") -> AsyncIterator[FleetStream]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(read_bufsize=2**22) as session,
        session.get(f"http://127.0.0.1:{port}/v1/fleet/events", headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        yield FleetStream(response)


@pytest.fixture
def fleet_stream() -> Any:
    return open_stream


@pytest.fixture
def call() -> Any:
    """Send one request; return its status and its JSON."""

    async def send(port: int, path: str, key: str = "", method: str = "GET", **body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        options: dict[str, Any] = {"json": body} if body else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, **options) as response,
        ):
            return response.status, await response.json()

    return send
