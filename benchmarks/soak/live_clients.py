"""The clients of live sessions (WebSocket): one completes its session, one disconnects, one sends nonsense.

Knows: the messages of a live session, and how each client may end. Does not know: HTTP beside the handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import websockets
from exchange import RETRYABLE, SPEECH, Rejection, ViolationError

COMPLETED = "completed"
PIECES = ("It is ", "raining. You ", "might want ", "to stay. ", "今天天气", "很好。", "And so ", "on")
NONSENSE = (
    "{",
    "[]",
    b"\x00\x01",
    json.dumps({"type": "nothing"}),
    json.dumps({"type": "text.append", "text": "before the start"}),
    json.dumps({"type": "session.start", "model": "another"}),
    json.dumps({"type": "session.start", **SPEECH, "speed": 99}),
)

Attempt = Callable[[int], Awaitable[str | Rejection]]
Socket = websockets.ClientConnection


def streams_live(draw: random.Random) -> Attempt:
    """Send text in pieces with pauses, and read all audio."""
    pieces, pause_seconds = draw.choices(PIECES, k=draw.randint(1, 12)), draw.uniform(0, 0.2)

    async def ask(port: int) -> str | Rejection:
        async with session(port) as socket:
            if (rejection := await started(socket)) is not None:
                return rejection
            for piece in pieces:
                await send(socket, "text.append", text=piece)
                await asyncio.sleep(pause_seconds)
            await send(socket, "session.end")
            async for message in socket:
                if isinstance(message, bytes):
                    continue
                match json.loads(message)["type"]:
                    case "session.done":
                        return COMPLETED
                    case "error":
                        return rejection_in(message)
        raise ViolationError("a live session ended without session.done")

    return ask


def hangs_up_live(draw: random.Random) -> Attempt:
    """Start a session, send much text, sometimes cancel, and abort the connection without a close frame."""
    stays_seconds, cancels = draw.expovariate(1.0), draw.random() < 0.5  # noqa: PLR2004

    async def ask(port: int) -> str | Rejection:
        async with session(port) as socket:
            if (rejection := await started(socket)) is not None:
                return rejection
            await send(socket, "text.append", text="word " * 100 + ". ")
            await asyncio.sleep(stays_seconds)
            with contextlib.suppress(websockets.ConnectionClosed):
                if cancels:
                    await send(socket, "cancel")
            socket.transport.abort()
        return "left"

    return ask


def sends_nonsense_live(draw: random.Random) -> Attempt:
    """Send a message that the protocol does not have; the server must reply with an error."""
    nonsense = draw.choice(NONSENSE)

    async def ask(port: int) -> str | Rejection:
        async with session(port) as socket:
            await socket.send(nonsense)
            async for message in socket:
                if isinstance(message, str) and json.loads(message)["type"] == "error":
                    return "error received"
        raise ViolationError(f"a live session ended without an error for {nonsense!r}")

    return ask


@contextlib.asynccontextmanager
async def session(port: int) -> AsyncIterator[Socket]:
    """Open a session's socket for the block; only the client may close it early.

    Raises:
        ViolationError: the server closed it, or refused the handshake.
    """
    url = f"ws://127.0.0.1:{port}/v1/audio/speech/stream"
    try:
        async with websockets.connect(url, proxy=None, close_timeout=5, open_timeout=60) as socket:
            yield socket
    except websockets.ConnectionClosed as closed:
        raise ViolationError(f"a live session was closed: {closed}") from closed
    except websockets.InvalidHandshake as refused:
        raise ViolationError(f"no live session: {refused}") from refused


async def send(socket: Socket, kind: str, **fields: Any) -> None:
    """Send one message."""
    await socket.send(json.dumps({"type": kind, **fields}))


async def started(socket: Socket) -> Rejection | None:
    """Start a session; returns None, or the rejection."""
    await send(socket, "session.start", **SPEECH)
    answer = await socket.recv()
    return None if json.loads(answer)["type"] == "session.started" else rejection_in(answer)


def rejection_in(message: str | bytes) -> Rejection:
    """Return the rejection in an error message.

    Raises:
        ViolationError: the message has no retry_after_seconds, so the session failed.
    """
    error = json.loads(message)
    if "retry_after_seconds" not in error:
        raise ViolationError(f"a live session failed: {message!r}")
    return Rejection(RETRYABLE[-1], float(error["retry_after_seconds"]))
