"""Responses as server-sent events: keep-alive comments while a request is held, and errors as events after them.

Knows: that the head of the response is sent with the first comment, so that an error can only be an event from then
on; where events end, because nothing may be inserted within one.
Does not know: what the request waits for, what a pod sends.
"""

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.responses import refuse

KEEP_ALIVE_SECONDS = 5.0  # below the 10 s of silence after which the shortest timers of clients end
KEEP_ALIVE = b": keep-alive\n\n"  # a comment: clients ignore lines that begin with a colon (HTML standard, 9.2.6)
MEDIA_TYPE = "text/event-stream"
MAX_PENDING_BYTES = 2**20  # of one event; 160 ms of audio are some 20,000
HEADERS = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would otherwise collect the comments
}


@dataclass(slots=True)
class SseFramer:
    """Cuts a pod's byte stream at the ends of events, so that another event can be appended after any piece."""

    pending: bytes = b""  # the beginning of an event whose end has not arrived
    is_mid_event: bool = False  # part of an event larger than MAX_PENDING_BYTES has been returned

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be sent after one more chunk: whole events, or part of one that is too large to keep."""
        received = self.pending + chunk
        end = received.rfind(b"\n\n") + 2
        if end > 1:
            self.pending, self.is_mid_event = received[end:], False
            return received[:end]
        self.is_mid_event = self.is_mid_event or len(received) > MAX_PENDING_BYTES
        self.pending = b"" if self.is_mid_event else received
        return received if self.is_mid_event else b""


@dataclass(slots=True)
class EventStream:
    """The response of one request that asked for events."""

    request: web.Request
    context: RequestContext
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    response: web.StreamResponse | None = None  # set when its head has been sent
    is_claimed: bool = False  # a pod's events follow: no further comments
    # Comments and the claim take turns: a comment must not be written between a claim and the pod's first event.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, work: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
        """Await the work and return its response; write comments meanwhile, and an error as an event after them."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({task}, timeout=self.keep_alive_seconds))[0]:
                await self._comment()
            result = task.result()
        except RequestRefusedError as refused:
            if self.response is None:
                raise
            result = refuse(self.context, refused.refusal)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self.response is None or result is self.response:
            return result
        return await self._end_with(self.response, result)

    async def claim(self) -> web.StreamResponse | None:
        """End the comments; return the response whose head has been sent, or None when there is none."""
        async with self.turn:
            self.is_claimed = True
            return self.response

    async def _comment(self) -> None:
        async with self.turn:
            if self.is_claimed:
                return
            if self.response is None:
                self.response = web.StreamResponse(headers=HEADERS | self.context.headers())
                await self.response.prepare(self.request)
            await self.response.write(KEEP_ALIVE)

    async def _end_with(self, begun: web.StreamResponse, error: web.StreamResponse) -> web.StreamResponse:
        """Write an error response as the last event of a stream whose head has been sent."""
        self.context.is_truncated = True
        with contextlib.suppress(ConnectionResetError):  # the client has left: there is no further error to report
            await begun.write(error_event(error))
            await begun.write_eof()
        return begun


def error_event(error: web.StreamResponse) -> bytes:
    """Return an error response as an event; OpenAI's clients raise it like an error status."""
    return b"event: error\ndata: " + json.dumps({"type": "error", **_error_fields(error)}).encode() + b"\n\n"


def _error_fields(error: web.StreamResponse) -> dict[str, Any]:
    """Return the body's fields if it has OpenAI's form, else that form with the status in its message."""
    body = error.body if isinstance(error, web.Response) else None
    text = bytes(body).decode(errors="replace") if isinstance(body, bytes | bytearray) else ""
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and "error" in fields:
        return fields
    message = f"The server responded with status {error.status}."
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "upstream_failed"}}
