"""GET /v1/fleet and GET /v1/fleet/events: what this gateway knows of every region, now and as it changes.

Knows: how often changes are sent, how many streams there may be, when a stream ends. A stream has no queue: what a slow
client has not taken is sent as one change once it takes bytes again. Does not know: what an event says (audience.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import fleet_streams_full, gateway_draining, gateway_starting
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.fleet.audience import Audience
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.requests.authentication import presented_key

TICK_SECONDS = 0.4  # between two changes
KEEP_ALIVE_SECONDS = 15.0
WRITE_SECONDS = 20.0  # a client that takes no byte for so long is gone, or stopped
# Streams that are written to before requests have a turn: a write takes some 30 us.
STREAMS_AT_ONCE, TURN_SECONDS = 10, 0.002
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
KEEP_ALIVE = b": keep-alive\n\n"

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Stream:
    """One open stream: what it has sent, and what wakes it."""

    caller: Caller
    version: int = 0
    is_due: asyncio.Event = field(default_factory=asyncio.Event)


async def _ask_none() -> None:
    """There is no other gateway."""


@dataclass(slots=True)
class FleetEvents:
    """The handlers; while a stream is open, one task refreshes the rows for all.

    `ask_others`: asks the region's other gateways for what they hold, and waits for those that answer.
    """

    audience: Audience
    accounts: Accounts
    health: Health
    most_streams: int
    is_synced: Callable[[], bool] = lambda: True
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    ask_others: Callable[[], Awaitable[None]] = _ask_none
    streams: set[Stream] = field(default_factory=set)
    ticking: asyncio.Task[None] | None = None

    async def snapshot(self, request: web.Request) -> web.Response:
        """Respond with everything that the caller may read."""
        self._check_started()
        await self.ask_others()
        await self.audience.feed.refresh()
        body = self.audience.snapshot(request[CONTEXT].caller)
        return web.Response(text=body, content_type="application/json", headers={"Cache-Control": "no-store"})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send a snapshot, then changes, until the client leaves, its key ends or this gateway shuts down."""
        self._check_started()
        context: RequestContext = request[CONTEXT]
        with self._open(context.caller) as stream:
            response = web.StreamResponse(headers=HEADERS | context.headers())
            await response.prepare(request)
            await self.ask_others()
            await self.audience.feed.refresh()
            try:
                while self._is_allowed(request):
                    await self._send(response, stream)
            except TimeoutError:
                log.info("fleet_stream_cut", request_id=context.request_id, seconds=WRITE_SECONDS)
                response.force_close()
            return response

    def _check_started(self) -> None:
        if self.health.is_draining:
            raise RequestRefusedError(gateway_draining())
        if not self.is_synced():
            raise RequestRefusedError(gateway_starting())

    async def _send(self, response: web.StreamResponse, stream: Stream) -> None:
        """Send what has changed, or wait for a change and, without one, send a keep-alive."""
        event = self.audience.event(stream.caller, stream.version)
        is_news = event.version > stream.version or not stream.version
        stream.version = max(1, event.version)
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(event.frame if is_news else KEEP_ALIVE)
        stream.is_due.clear()
        try:
            async with asyncio.timeout(self.keep_alive_seconds):
                await stream.is_due.wait()
        except TimeoutError:
            return

    def _is_allowed(self, request: web.Request) -> bool:
        """Whether the stream goes on: its key may have been revoked since it began."""
        try:
            self.accounts.caller(presented_key(request), is_catalog=False)
        except RequestRefusedError:
            return False
        return not self.health.is_draining

    @contextmanager
    def _open(self, caller: Caller) -> Iterator[Stream]:
        """Count a stream while the context lasts. Raises RequestRefusedError (503) beyond the bound."""
        limit = self.most_streams if caller.may_operate else max(1, self.most_streams // 2)
        if len(self.streams) >= limit:
            raise RequestRefusedError(fleet_streams_full(limit))
        stream = Stream(caller)
        self.streams.add(stream)
        if self.ticking is None:
            self.ticking = asyncio.create_task(self._tick(), name="fleet page")
        try:
            yield stream
        finally:
            self.streams.discard(stream)

    async def _tick(self) -> None:
        """Refresh, and wake the streams that have something to send, until none is open."""
        try:
            while self.streams:
                await asyncio.sleep(TICK_SECONDS)
                await self.audience.feed.refresh()
                await self._wake_streams()
        finally:
            self.ticking = None

    async def _wake_streams(self) -> None:
        version, is_ending = self.audience.feed.version, self.health.is_draining
        due = [stream for stream in self.streams if is_ending or stream.version < version]
        for begin in range(0, len(due), STREAMS_AT_ONCE):
            for stream in due[begin : begin + STREAMS_AT_ONCE]:
                stream.is_due.set()
            await asyncio.sleep(TURN_SECONDS)
