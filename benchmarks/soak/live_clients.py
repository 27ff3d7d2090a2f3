"""The kinds that talk over a WebSocket while they write: who stays, who hangs up, who talks nonsense.

Knows: the messages of a live session, and how each may end. Does not know: HTTP beside the handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import websockets
from exchange import NOT_NOW, SPEECH, Refusal, ViolationError

HEARD = "heard to the end"
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

Attempt = Callable[[int], Awaitable[str | Refusal]]
Socket = websockets.ClientConnection


def talks_live(draw: random.Random) -> Attempt:
    """Text in pieces, as it is written, and everything that is spoken."""
    pieces, pause_seconds = draw.choices(PIECES, k=draw.randint(1, 12)), draw.uniform(0, 0.2)

    async def ask(port: int) -> str | Refusal:
        async with session(port) as socket:
            if (refusal := await started(socket)) is not None:
                return refusal
            for piece in pieces:
                await tell(socket, "text.append", text=piece)
                await asyncio.sleep(pause_seconds)
            await tell(socket, "session.end")
            async for message in socket:
                if isinstance(message, bytes):
                    continue
                match json.loads(message)["type"]:
                    case "session.done":
                        return HEARD
                    case "error":
                        return refusal_in(message)
        raise ViolationError("a live session ended without session.done")

    return ask


def hangs_up_live(draw: random.Random) -> Attempt:
    """Starts, says much, perhaps cancels, and is gone without a word."""
    stays_seconds, cancels = draw.expovariate(1.0), draw.random() < 0.5  # noqa: PLR2004

    async def ask(port: int) -> str | Refusal:
        async with session(port) as socket:
            if (refusal := await started(socket)) is not None:
                return refusal
            await tell(socket, "text.append", text="word " * 100 + ". ")
            await asyncio.sleep(stays_seconds)
            with contextlib.suppress(websockets.ConnectionClosed):
                if cancels:
                    await tell(socket, "cancel")
            socket.transport.abort()
        return "left"

    return ask


def mumbles_live(draw: random.Random) -> Attempt:
    """Something that is no message of a session; an error must say so."""
    nonsense = draw.choice(NONSENSE)

    async def ask(port: int) -> str | Refusal:
        async with session(port) as socket:
            await socket.send(nonsense)
            async for message in socket:
                if isinstance(message, str) and json.loads(message)["type"] == "error":
                    return "told"
        raise ViolationError(f"a live session ended without an error for {nonsense!r}")

    return ask


@contextlib.asynccontextmanager
async def session(port: int) -> AsyncIterator[Socket]:
    """An open socket; whatever closes it early is broken, but for those who close it themselves."""
    url = f"ws://127.0.0.1:{port}/v1/audio/speech/stream"
    try:
        async with websockets.connect(url, proxy=None, close_timeout=5, open_timeout=60) as socket:
            yield socket
    except websockets.ConnectionClosed as closed:
        raise ViolationError(f"a live session was closed: {closed}") from closed
    except websockets.InvalidHandshake as refused:
        raise ViolationError(f"no live session: {refused}") from refused


async def tell(socket: Socket, kind: str, **fields: Any) -> None:
    """One message."""
    await socket.send(json.dumps({"type": kind, **fields}))


async def started(socket: Socket) -> Refusal | None:
    """Start a session; None when it was."""
    await tell(socket, "session.start", **SPEECH)
    answer = await socket.recv()
    return None if json.loads(answer)["type"] == "session.started" else refusal_in(answer)


def refusal_in(message: str | bytes) -> Refusal:
    """An error that says when to come back.

    Raises:
        ViolationError: it does not.
    """
    told = json.loads(message)
    if "retry_after_seconds" not in told:
        raise ViolationError(f"a live session failed: {message!r}")
    return Refusal(NOT_NOW[-1], float(told["retry_after_seconds"]))
