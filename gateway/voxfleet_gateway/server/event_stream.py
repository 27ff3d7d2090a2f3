"""A stream of events: comments keep it alive while its request is held, and what fails once it has begun is an event.

Knows: that the answer's head is gone once a comment was sent, where events end, and that nothing can be said in the
middle of one.
Does not know: what the request waits for, or what a pod will say.
"""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.request_context import RequestContext
from voxfleet_gateway.server.responses import error_response

KEEP_ALIVE_SECONDS = 10.0
KEEP_ALIVE = b": keep-alive\n\n"
MEDIA_TYPE = "text/event-stream"
MAX_HELD_BYTES = 2**20  # of one event; 160 ms of audio are some 20,000
HEADERS = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


@dataclass(slots=True)
class SseFramer:
    """Passes a pod's events on when they are whole, so that another event may follow at any moment."""

    held: bytes = b""  # the beginning of an event
    is_mid_event: bool = False  # a part of one that is too large to be held has been passed on

    def feed(self, chunk: bytes) -> bytes:
        """What may be passed on now that this has come."""
        came = self.held + chunk
        end = came.rfind(b"\n\n") + 2
        if end > 1:
            self.held, self.is_mid_event = came[end:], False
            return came[:end]
        self.is_mid_event = self.is_mid_event or len(came) > MAX_HELD_BYTES
        self.held = b"" if self.is_mid_event else came
        return came if self.is_mid_event else b""


@dataclass(slots=True)
class EventStream:
    """One request's answer."""

    request: web.Request
    context: RequestContext
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    response: web.StreamResponse | None = None  # there once it has begun
    is_claimed: bool = False  # a pod speaks: no more comments of ours
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def kept_alive(self, work: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
        """The answer that the work comes to; once the stream has begun, an error is told as an event."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({task}, timeout=self.keep_alive_seconds))[0]:
                await self._comment()
            answer = task.result()
        except RequestRefusedError as refused:
            if self.response is None:
                raise
            answer = error_response(refused.refusal)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self.response is None or answer is self.response:
            return answer
        return await self._end_with(self.response, answer)

    async def claim(self) -> web.StreamResponse | None:
        """Let a pod speak: the answer to write into, or None when it has not begun."""
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

    async def _end_with(self, begun: web.StreamResponse, answer: web.StreamResponse) -> web.StreamResponse:
        """An error answer whose head came too late."""
        self.context.truncated = True
        await begun.write(error_event(answer))
        await begun.write_eof()
        return begun


def error_event(answer: web.StreamResponse) -> bytes:
    """An error answer as an event; OpenAI's clients raise it as they would the answer."""
    return b"event: error\ndata: " + json.dumps({"type": "error", **_body(answer)}).encode() + b"\n\n"


def _body(answer: web.StreamResponse) -> dict[str, Any]:
    """OpenAI's form, which answers of ours and of pods have; anything else is said in its words."""
    body = answer.body if isinstance(answer, web.Response) else None
    text = bytes(body).decode(errors="replace") if isinstance(body, bytes | bytearray) else ""
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and "error" in fields:
        return fields
    message = f"The server answered {answer.status}."
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "upstream_failed"}}
