"""A pod without a model: raw HTTP/1.1 that sends each text's chunks when they are due, or all at once.

Knows: the path of the load report, where a request's body ends. Does not know: whether it is asked by a client, nginx
or a gateway. It is as cheap as Python allows: every way through a proxy pays for it too.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import cast

from clients.audio import CHUNK_BYTES, STAMP, SpokenText

LOAD_REQUEST = b"GET /internal/load"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
AUDIO_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHUNK_HEAD, CHUNK_END, LAST_CHUNK = b"%x\r\n" % CHUNK_BYTES, b"\r\n", b"0\r\n\r\n"
SILENCE = bytes(CHUNK_BYTES - STAMP.size)


@dataclass(slots=True)
class StubPod:
    """One pod: its state, and the protocol of its connections."""

    state: str = "ready"
    load: int = 0  # sequences of requests that are not this benchmark's
    open_requests: int = 0
    server: asyncio.Server | None = field(default=None, repr=False)

    async def start(self) -> int:
        """Listen on a free port of loopback and return it."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: PodConnection(self), "127.0.0.1", 0, backlog=4096)
        return int(self.server.sockets[0].getsockname()[1])

    def report(self) -> bytes:
        """Return the response to GET /internal/load."""
        body = json.dumps({
            "model": "stub", "state": self.state, "message": "", "open_requests": self.open_requests,
            "running_sequences": self.load + self.open_requests, "waiting_sequences": 0,
            "free_rows": 10_000,
            "queued_audio_seconds": 0.0, "audio_seconds_per_second": 1000.0, "first_audio_seconds_p95": 0.001,
        }).encode()  # fmt: skip
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class PodConnection(asyncio.Protocol):
    """One connection of a pod, with one request at a time."""

    def __init__(self, pod: StubPod) -> None:
        self._pod = pod
        self._received = b""
        self._left = 0  # chunks of the open request
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Respond once the request is complete."""
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = CONTENT_LENGTH.search(self._received, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return
        request, self._received = self._received[:end], self._received[end:]
        self._respond(request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the open request."""
        del exc
        if self._timer is not None:
            self._timer.cancel()
        if self._left:
            self._pod.open_requests -= 1

    def _respond(self, request: bytes) -> None:
        if request.startswith(LOAD_REQUEST):
            self._transport.write(self._pod.report())
        elif (text := SpokenText.find(request)) is None:
            self._transport.write(BAD_REQUEST)
        elif text.pause_ms == 0:
            self._transport.write(AUDIO_HEAD + b"".join(_chunk() for _ in range(text.chunks)) + LAST_CHUNK)
        else:
            self._left, self._pod.open_requests = text.chunks, self._pod.open_requests + 1
            self._transport.write(AUDIO_HEAD)
            self._send_chunk()
            self._send_due(asyncio.get_running_loop().time(), text.pause_seconds)

    def _send_due(self, due_at: float, pause_seconds: float) -> None:
        """Send a chunk now and the others when they are due, whatever time has passed meanwhile."""
        self._send_chunk()
        if self._left:
            following = due_at + pause_seconds
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(following, self._send_due, following, pause_seconds)

    def _send_chunk(self) -> None:
        if self._left == 0:
            return
        self._left -= 1
        if self._left:
            self._transport.write(_chunk())
            return
        self._pod.open_requests -= 1
        self._transport.write(_chunk() + LAST_CHUNK)


def _chunk() -> bytes:
    """Return one chunk, which begins with the time at which it is sent."""
    return b"".join((CHUNK_HEAD, STAMP.pack(time.monotonic()), SILENCE, CHUNK_END))
