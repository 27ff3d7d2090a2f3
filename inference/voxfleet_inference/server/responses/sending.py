"""Sends to clients that read slowly, read nothing, or disconnect.

Knows: ASGI messages, and which HTTP error each of the engine's errors becomes.
Does not know: audio, formats, or what is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Final

from starlette.types import Receive, Send

from voxfleet_inference.engine.errors import QueueFullError, SequenceExpiredError, SequenceTooLongError
from voxfleet_inference.errors import ApiError, InternalError, InvalidFieldError, UnavailableError
from voxfleet_inference.telemetry.metrics import RequestOutcome

CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status; only logs and metrics show it
_RETRY_AFTER_SECONDS: Final = 5


class ClientLeftError(Exception):
    """The client closed the connection."""


class SlowClientError(Exception):
    """The connection is open, but the client reads nothing."""


async def unless_client_leaves(receive: Receive, work: Coroutine[None, None, RequestOutcome]) -> RequestOutcome:
    """Await `work` and return its outcome; cancel it when the client disconnects.

    Raises:
        ClientLeftError: the client disconnected first.
    """
    output: asyncio.Task[RequestOutcome] = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send status and headers."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def send_body(send: Send, chunk: bytes, *, more: bool, within_seconds: float) -> None:
    """Send a part of the body; `send` returns once uvicorn's write buffer has room for it.

    Raises:
        SlowClientError: the buffer had no room for `within_seconds`.
    """
    try:
        async with asyncio.timeout(within_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
    except TimeoutError as error:
        raise SlowClientError(f"the client read nothing for {within_seconds:g} s") from error


async def send_error(send: Send, error: ApiError) -> None:
    """Send a complete error response."""
    body = json.dumps(error.body).encode()
    await send_head(
        send, error.status, {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    )
    await send({"type": "http.response.body", "body": body})


def as_api_error(error: Exception) -> ApiError:
    """Return the error that a client gets for an error of the engine."""
    match error:
        case ApiError():
            return error
        case SequenceTooLongError():
            return InvalidFieldError(f"'input' cannot be spoken here: {error}", param="input", code="too_long")
        case QueueFullError():
            return _unavailable(error, "queue_full")
        case SequenceExpiredError():
            return _unavailable(error, "deadline_exceeded")
    return InternalError(f"the engine could not speak this: {error}", code="engine_error")


def failure_outcome(error: ApiError) -> RequestOutcome:
    """Return how a request ended that got this error instead of audio."""
    return RequestOutcome.FAILED if error.status >= InternalError.status else RequestOutcome.REJECTED


def _unavailable(error: Exception, code: str) -> UnavailableError:
    return UnavailableError(str(error), code=code, retry_after_seconds=_RETRY_AFTER_SECONDS)
