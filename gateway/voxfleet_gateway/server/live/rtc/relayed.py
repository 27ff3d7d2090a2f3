"""A session of a pod here whose account another region's gateway keeps: what both send is passed on in both directions.

Knows: that the end of one ends the other; how a gateway that stops ends it.
Does not know: offers, limits, what an account's messages say.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import aiohttp
from aiohttp import WSMsgType, web

from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.responses import refusal_event


@dataclass(slots=True, eq=False)
class RelayedSession:
    """A session of a pod here: what its account and the other gateway send one another."""

    pod: aiohttp.ClientWebSocketResponse
    peer: web.WebSocketResponse
    context: RequestContext

    async def run(self) -> None:
        """Pass messages on until one side is gone."""
        passing = {asyncio.create_task(each) for each in (self._of_pod(), self._of_peer())}
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)

    async def end(self, refusal: Refusal) -> None:
        """End the session, as when this gateway stops; the pod still reports what was spoken."""
        self.context.record_refusal(refusal.code)
        with contextlib.suppress(ConnectionResetError):
            await self.pod.send_json({**refusal_event(refusal), "type": "end"})

    async def _of_pod(self) -> None:
        async for message in self.pod:
            if message.type is not WSMsgType.TEXT:
                return
            await self.peer.send_str(message.data)

    async def _of_peer(self) -> None:
        async for message in self.peer:
            if message.type is not WSMsgType.TEXT:
                return
            await self.pod.send_str(message.data)
