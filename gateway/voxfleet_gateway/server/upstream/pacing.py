"""Bounds how many connections to pods are set up at once: many released requests must not time out on their own lag.

A thousand requests that are released together would all begin to connect in one turn of the event loop. On a processor
that is short of time the turn takes longer than a connection may, and pods that are well look dead. Connections that
are kept are used without waiting. Knows: aiohttp's tracing, which is where a connection's set-up can be delayed before
its own time begins. Does not know: pods, requests.
"""

import asyncio
from types import SimpleNamespace

import aiohttp

MOST_AT_ONCE = 64


def paced_connections(most_at_once: int = MOST_AT_ONCE) -> aiohttp.TraceConfig:
    """Return a client session's trace config that has connections beyond that many wait for their turn."""
    places = asyncio.Semaphore(most_at_once)
    config = aiohttp.TraceConfig()

    async def take(_session: aiohttp.ClientSession, request: SimpleNamespace, _: object) -> None:
        await places.acquire()
        request.is_connecting = True

    async def give_back(_session: aiohttp.ClientSession, request: SimpleNamespace, _: object) -> None:
        if getattr(request, "is_connecting", False):
            request.is_connecting = False
            places.release()

    config.on_connection_create_start.append(take)
    config.on_connection_create_end.append(give_back)
    config.on_request_exception.append(give_back)  # refused, timed out or cancelled
    return config
