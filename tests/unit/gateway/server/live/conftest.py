"""Pods that speak the session protocol, as a test wants them to, and clients of a gateway before them."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

START = {"type": "session.start", "model": "m", "response_format": "pcm"}
PATH = "/v1/audio/speech/stream"


class LivePod:
    """A pod; `behave` is its session from the first message on."""

    def __init__(self, behave: Callable[["LivePod", ServerConnection], Awaitable[None]]) -> None:
        self.behave = behave
        self.received: list[Any] = []
        self.headers: list[Any] = []
        self.open = 0
        self.close_codes: list[int | None] = []
        self.port = 0

    async def session(self, socket: ServerConnection) -> None:
        self.open += 1
        assert socket.request is not None
        self.headers.append(socket.request.headers)
        try:
            await self.behave(self, socket)
        except ConnectionClosed:
            pass
        finally:
            await socket.close()
            self.open -= 1
            self.close_codes.append(socket.close_code)

    async def next(self, socket: ServerConnection) -> dict[str, Any]:
        message = json.loads(await socket.recv())
        self.received.append(message)
        return dict(message)


async def event(socket: ServerConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def speak(pod: LivePod, socket: ServerConnection) -> None:
    """Do what a server does: one frame of audio per text."""
    start = await pod.next(socket)
    await event(socket, "session.started", seed=start.get("seed", 7), session_id="s")
    while (message := await pod.next(socket))["type"] != "session.end":
        if message["type"] == "text.append":
            await socket.send(message["text"].encode())
        else:
            await event(socket, "cancelled" if message["type"] == "cancel" else "noted")
    await event(socket, "session.done", usage={})


class Live:
    """What a test of sessions needs; a fixture, because test modules are not imported by one another."""

    start, path = START, PATH
    event, speak, pod = staticmethod(event), staticmethod(speak), LivePod

    @staticmethod
    @contextlib.asynccontextmanager
    async def listening(*pods: LivePod) -> AsyncIterator[list[int]]:
        async with contextlib.AsyncExitStack() as stack:
            for pod in pods:
                server = await stack.enter_async_context(serve(pod.session, "127.0.0.1", 0))
                pod.port = next(iter(server.sockets)).getsockname()[1]
            yield [pod.port for pod in pods]

    @staticmethod
    def client(port: int, **options: Any) -> Any:
        return connect(f"ws://127.0.0.1:{port}{PATH}{options.pop('query', '')}", **options)

    @staticmethod
    async def send(socket: ClientConnection, *messages: dict[str, Any]) -> None:
        for message in messages:
            await socket.send(json.dumps(message))

    @staticmethod
    async def read_all(socket: ClientConnection) -> tuple[list[Any], int | None]:
        """Return everything up to the close frame, audio as bytes, and the close code."""
        received: list[Any] = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await socket.recv()
                received.append(frame if isinstance(frame, bytes) else json.loads(frame))
        return received, socket.close_code


@pytest.fixture
def live() -> type[Live]:
    return Live
