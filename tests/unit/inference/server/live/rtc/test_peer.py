"""After how many of the client's flights its first audio is sent: three, each of which is a round trip."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aioice import Connection, stun
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from voxfleet_inference.server.live.rtc import media_port
from voxfleet_inference.server.live.rtc.media_port import MediaPort
from voxfleet_inference.server.live.rtc.offer import SDP_TYPE, parse_offer
from voxfleet_inference.server.live.rtc.opus import OpusEncoder
from voxfleet_inference.server.live.rtc.peer import Peer
from voxfleet_inference.server.live.rtc.transport import RtcTransport

HANDSHAKE_TYPE_AT = 13  # after a DTLS record's header
HANDSHAKES = {1: "ClientHello", 11: "Certificate"}


def name_of(datagram: bytes) -> str:
    """Return what a datagram begins with."""
    if datagram[0] <= 3:
        return f"STUN {stun.parse_message(datagram).message_class.name}"
    if datagram[0] < 64:
        return HANDSHAKES.get(datagram[HANDSHAKE_TYPE_AT], "DTLS")
    return "media"


@pytest.fixture
def flights(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What passes the media port, each with its direction; what is sent again is there once."""
    seen: list[tuple[str, str]] = []

    def note(direction: str, datagram: bytes) -> None:
        if (flight := (direction, name_of(datagram))) not in seen:
            seen.append(flight)

    receive, send = media_port._SharedSocket.datagram_received, media_port._Sender.sendto

    def received(self: Any, data: bytes, addr: Any) -> None:
        note("in", data)
        receive(self, data, addr)

    def sent(self: Any, data: Any, addr: Any = None) -> None:
        note("out", data)
        send(self, data, addr)

    monkeypatch.setattr(media_port._SharedSocket, "datagram_received", received)
    monkeypatch.setattr(media_port._Sender, "sendto", sent)
    return seen


@pytest.fixture
def nominating_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client's first check nominate, as Chromium's does."""
    build = Connection.build_request

    def built(self: Connection, pair: Any, *, nominate: bool) -> stun.Message:
        return build(self, pair, nominate=nominate or self.ice_controlling)

    monkeypatch.setattr(Connection, "build_request", built)


@pytest.mark.usefixtures("nominating_at_once")
async def test_audio_follows_the_clients_third_flight(flights: list[tuple[str, str]]) -> None:
    port, executor = MediaPort("127.0.0.1", 0), ThreadPoolExecutor(1)
    transport = RtcTransport(OpusEncoder(executor))
    peer, client = Peer(transport, port), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.createDataChannel("voxfleet")
    client.addTransceiver("audio", direction="recvonly")
    await client.setLocalDescription(await client.createOffer())
    await transport.send_audio(b"\1\2" * 48_000)
    answer = await peer.answer(parse_offer(client.localDescription.sdp.encode(), SDP_TYPE).sdp)
    await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(60):
        while ("out", "media") not in flights:  # noqa: ASYNC110 - the sockets set no event
            await asyncio.sleep(0.01)
    before = flights[: flights.index(("out", "media"))]
    assert [name for direction, name in before if direction == "in"] == ["STUN REQUEST", "ClientHello", "Certificate"]
    await peer.close()
    await client.close()
    port.close()
    executor.shutdown()
