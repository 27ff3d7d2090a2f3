"""A session over a WebSocket whose first message says in which of two protocols it is: VoxFleet's own or vLLM-Omni's.

Knows: that both are spoken on the same path. Does not know: either protocol.
"""

from __future__ import annotations

from voxfleet_protocols import vllm_omni

from voxfleet_inference.server.live.client_messages import ClientMessage
from voxfleet_inference.server.live.server_messages import ServerMessage
from voxfleet_inference.server.live.transport import Ending, Transport
from voxfleet_inference.server.live.websocket import FrameSocket, WebSocketTransport
from voxfleet_inference.server.protocols.translated import TranslatedTransport


class TransportByFirstMessage:
    """One client's connection."""

    def __init__(self, socket: FrameSocket, default_model: str) -> None:
        self._socket, self._default_model = socket, default_model
        self._transport: Transport = WebSocketTransport(socket)
        self._is_chosen = False

    async def receive(self) -> ClientMessage:
        """Return the next message."""
        if not self._is_chosen:
            frame = await self._socket.receive()
            self._socket.unread(frame)
            self._is_chosen = True
            if frame is not None and vllm_omni.begins(frame):
                self._transport = TranslatedTransport(self._socket, vllm_omni.VllmOmniSession(self._default_model))
        return await self._transport.receive()

    async def send(self, message: ServerMessage) -> None:
        """Send an event."""
        await self._transport.send(message)

    async def send_audio(self, audio: bytes) -> None:
        """Send the next audio."""
        await self._transport.send_audio(audio)

    async def close(self, ending: Ending) -> None:
        """Close the WebSocket."""
        await self._transport.close(ending)
