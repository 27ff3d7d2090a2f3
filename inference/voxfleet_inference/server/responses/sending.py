"""Sends to a client who may read slowly, or not at all, or go away.

Knows: ASGI messages, and what an engine's errors mean to a client.
Does not know: audio, formats, or what is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Final

from starlette.types import Receive, Send

from voxfleet_inference.engine.client import QueueFullError, SequenceExpiredError, SequenceTooLongError
from voxfleet_inference.errors import ApiError, InternalError, InvalidFieldError, UnavailableError

CLIENT_CLOSED_REQUEST: Final = 499
_RETRY_AFTER_SECONDS: Final = 5


class ClientLeftError(Exception):
    """Nobody reads any more."""


class SlowClientError(Exception):
    """Somebody is there, but reads nothing."""


async def unless_client_leaves(receive: Receive, work: Coroutine[None, None, str]) -> str:
    """Run the delivery until it ends or the client is gone, whichever comes first; returns how it went."""
    output: asyncio.Task[str] = asyncio.create_task(work)
    leaving = asyncio.create_task(_client_gone(receive))
    try:
        await asyncio.wait({output, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not output.done():
            raise ClientLeftError
        return output.result()
    finally:
        for task in (output, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Begin an answer."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_body(send: Send, chunk: bytes, *, more: bool, within_seconds: float) -> None:
    """Send, but not for ever: a client that reads nothing is cut off.

    Raises:
        SlowClientError: nothing was read for so long.
    """
    try:
        async with asyncio.timeout(within_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
    except TimeoutError as error:
        raise SlowClientError("the client read nothing for too long") from error


async def send_error(send: Send, error: ApiError) -> None:
    """A whole answer."""
    body = json.dumps(error.body).encode()
    await send_head(
        send, error.status, {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    )
    await send({"type": "http.response.body", "body": body})


def as_api_error(error: Exception) -> ApiError:
    """What the client is told when the engine could not do it."""
    match error:
        case ApiError():
            return error
        case SequenceTooLongError():
            return InvalidFieldError(f"'input' cannot be spoken here: {error}", param="input", code="too_long")
        case QueueFullError():
            return _not_now(error, "queue_full")
        case SequenceExpiredError():
            return _not_now(error, "deadline_exceeded")
    return InternalError(f"the engine could not speak this: {error}", code="engine_error")


def _not_now(error: Exception, code: str) -> UnavailableError:
    return UnavailableError(str(error), code=code, retry_after_seconds=_RETRY_AFTER_SECONDS)
