"""A WebRTC client, aiortc's own: its track's samples and the messages of its data channel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

PATIENCE_SECONDS = 60.0


@dataclass
class RtcClient:
    """Keeps the audio and messages that it receives."""

    url: str
    connection: RTCPeerConnection
    channel: RTCDataChannel
    frames: list[tuple[int, np.ndarray[Any, Any]]] = field(default_factory=list)  # RTP time stamp, samples of a channel
    messages: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    location: str = ""

    async def offer(
        self, session: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        self.channel.on("message", self._take)
        self.connection.on("track", lambda track: self.tasks.append(asyncio.create_task(self._read(track))))
        self.connection.addTransceiver("audio", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        body: dict[str, Any] = {"type": "offer", "sdp": self.connection.localDescription.sdp}
        if session is not None:
            start = {"type": "session.start", "model": "voxcpm-1.5", **session}
            body["messages"] = [start, {"type": "text.flush"}]
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECONDS) as http:
            response = await http.post("/v1/audio/speech/rtc", json=body, headers=headers)
        if response.status_code == 201:
            self.location = response.headers["location"]
            await self.connection.setRemoteDescription(RTCSessionDescription(response.json()["sdp"], "answer"))
        return response

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def receive(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until so many messages of this type have come; return the last one."""

        def found() -> list[dict[str, Any]]:
            return [message for message in self.messages if message["type"] == kind]

        await self.until(lambda: len(found()) >= count)
        return found()[count - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self.arrived.clear()
                await self.arrived.wait()

    @property
    def loud_seconds(self) -> float:
        return sum(0.02 for _, samples in self.frames if np.abs(samples).max() > 0.1)

    def _take(self, data: str) -> None:
        self.messages.append(json.loads(data))
        self.arrived.set()

    async def _read(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.frames.append((frame.pts, frame.to_ndarray()[0, ::2] / 32768))
            self.arrived.set()


@asynccontextmanager
async def rtc_client(url: str) -> AsyncIterator[RtcClient]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client = RtcClient(url, connection, connection.createDataChannel("voxfleet"))
    try:
        yield client
    finally:
        await connection.close()
        for task in client.tasks:
            task.cancel()


@pytest.fixture(scope="session")
def connect_rtc() -> Callable[..., Any]:
    return rtc_client
