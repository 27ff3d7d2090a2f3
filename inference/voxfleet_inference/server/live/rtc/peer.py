"""One WebRTC connection: the answer to an offer, and what becomes of it.

Knows: aiortc, and that a connection which fails or is closed ends its session.
Does not know: sessions, or what is sent over the track and the data channel.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from voxfleet_inference.errors import InvalidFieldError, UnavailableError
from voxfleet_inference.server.live.rtc.media_port import MediaPort
from voxfleet_inference.server.live.rtc.transport import RtcTransport

CHANNEL: Final = "voxfleet"
_GONE: Final = frozenset({"failed", "closed"})
_RETRY_SECONDS: Final = 10
_logger: Final = structlog.get_logger("voxfleet_inference")


class Peer:
    """The server's end of a connection."""

    def __init__(self, transport: RtcTransport, port: MediaPort) -> None:
        self._transport, self._port = transport, port
        # An empty list: aiortc would otherwise ask a STUN server of Google's.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection.on("datachannel", self._on_channel)
        self._connection.on("connectionstatechange", self._on_state)
        self.connected, self.gone = asyncio.Event(), asyncio.Event()

    async def answer(self, sdp: str) -> str:
        """Return the answer to an offer; the connection then waits for the client's checks.

        Raises:
            InvalidFieldError: the offer cannot be used.
            UnavailableError: no UDP socket can be bound.
        """
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            sender = self._add_track()
            dtls = self._connection.sctp.transport if self._connection.sctp else sender.transport
            ice = dtls.transport
            self._port.serve(ice.iceGatherer._connection)  # noqa: SLF001 - aiortc makes it by itself
            if "\na=setup:passive" not in sdp:
                # aiortc would be the DTLS client. A client begins the handshake as soon as its check is answered, and
                # the last flight is the server's: audio follows it, half a round trip sooner.
                dtls._set_role("server")  # noqa: SLF001
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # a parser of SDP that has many ways to fail
            message = f"the offer cannot be answered: {type(error).__name__}: {error}"
            raise InvalidFieldError(message, param="sdp", code="invalid_sdp") from error
        if not ice.iceGatherer.getLocalCandidates():
            message = "no UDP socket can be bound for audio; see --host and --rtc-port"
            raise UnavailableError(message, code="no_media_port", retry_after_seconds=_RETRY_SECONDS)
        return str(self._connection.localDescription.sdp)

    async def close(self) -> None:
        """Close the connection; the client is notified."""
        await self._connection.close()

    def _add_track(self) -> RTCRtpSender:
        sender = self._connection.addTrack(self._transport.track)
        transceiver = next(each for each in self._connection.getTransceivers() if each.sender is sender)
        transceiver.direction = "sendonly"
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType.lower() == "audio/opus"])
        self._transport.rtp_timestamp = lambda: last_rtp_timestamp(sender)
        return sender

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL:
            channel.close()
            return
        channel.on("message", self._transport.take)
        channel.on("close", self._transport.leave)
        self._transport.opened(channel)

    async def _on_state(self) -> None:
        state = self._connection.connectionState
        _logger.debug("rtc_connection", state=state)
        if state == "connected":
            self.connected.set()
        elif state in _GONE:
            self.gone.set()
            self._transport.leave()


def last_rtp_timestamp(sender: Any) -> int | None:
    """Return the RTP time stamp of the last packet that was sent, which aiortc keeps for its sender reports."""
    time_stamp: int | None = getattr(sender, "_RTCRtpSender__rtp_timestamp", None)
    return time_stamp
