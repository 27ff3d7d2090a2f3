"""A session over WebRTC: messages as JSON in a data channel, audio as packets of a track.

Knows: that a message about audio belongs to the moment in which that audio is sent, in real time: a sentence starts
with its first packet, what a cancel drops was never spoken, and the end comes after the last packet.
Does not know: what is spoken or why, or which message is allowed when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from voxfleet_inference.errors import ApiError, InvalidFieldError
from voxfleet_inference.server.live.client_messages import Cancel, ClientMessage, SessionStart, parse_message
from voxfleet_inference.server.live.rtc.account import Account, AdmittedMessages
from voxfleet_inference.server.live.rtc.opus import OpusEncoder
from voxfleet_inference.server.live.rtc.play_queue import FRAME_SECONDS, SAMPLE_RATE, Played
from voxfleet_inference.server.live.rtc.track import AudioTrack
from voxfleet_inference.server.live.server_messages import (
    Cancelled,
    SentenceStart,
    ServerMessage,
    SessionDone,
    SessionError,
    SessionStarted,
    message_json,
)
from voxfleet_inference.server.live.transport import Ending
from voxfleet_inference.server.responses.sending import ClientLeftError

_MOST_MESSAGES: Final = 256  # that wait for the session, which takes each within a moment
_MILLISECONDS: Final = 3  # digits of a second


class DataChannel(Protocol):
    """What is used of aiortc's channel."""

    @property
    def readyState(self) -> str:  # noqa: N802 - WebRTC's name
        """Whether it is open."""

    def send(self, data: str) -> None:
        """Send a text message."""


class RtcTransport:
    """One connection; what is sent before its data channel is open waits for it."""

    def __init__(self, encoder: OpusEncoder) -> None:
        self.track = AudioTrack(encoder.finish, self._send_starts)
        self.rtp_timestamp: Callable[[], int | None] = lambda: None  # of the last packet that was sent
        self.closed = asyncio.Event()  # the server has nothing more to send
        self._encoder = encoder
        self._received: asyncio.Queue[ClientMessage | ApiError | None] = asyncio.Queue()
        self._channel: DataChannel | None = None
        self._unsent: list[str] = []
        self._has_left = False
        self.admitted: AdmittedMessages | None = None  # what the data channel's messages pass first, with an account

    def opened(self, channel: DataChannel) -> None:
        """Use this data channel."""
        self._channel = channel
        unsent, self._unsent = self._unsent, []
        for text in unsent:
            channel.send(text)

    def take(self, data: str | bytes) -> None:
        """Take what came over the data channel; a cancel drops the audio that waits at once."""
        try:
            message = parse_message(data if isinstance(data, str) else None)
        except InvalidFieldError as rejected:
            self.put(rejected)
            return
        if isinstance(message, Cancel):
            self._clear()
        if self.admitted is None:
            self.put(message)
        elif self.admitted.waiting >= _MOST_MESSAGES:
            self.leave()
        else:
            self.admitted.take(message)

    def use(self, account: Account) -> None:
        """Let text of the data channel wait for the account from now on; the account's end ends the session."""
        account.on_end = self.put
        self.admitted = AdmittedMessages(account, self.put, self._refuse)

    def put(self, item: ClientMessage | ApiError) -> None:
        """Give the session a message, or an error: one that is not about a field ends it."""
        if self._received.qsize() >= _MOST_MESSAGES:
            self.leave()
        else:
            self._received.put_nowait(as_played(item) if isinstance(item, SessionStart) else item)

    def leave(self) -> None:
        """End the session: its client is gone."""
        self._has_left = True
        self._received.put_nowait(None)
        self.track.stop()

    async def receive(self) -> ClientMessage:
        """Return the next message."""
        item = await self._received.get()
        if item is None:
            raise ClientLeftError
        if isinstance(item, ApiError):
            raise item
        return item

    async def send(self, message: ServerMessage) -> None:
        """Send a message, or let it wait for its audio."""
        match message:
            case SessionStarted():
                message = replace(message, response_format="opus", sample_rate=SAMPLE_RATE)
            case SessionDone():
                self.track.push(self._encoder.finish())
                await self.track.is_played()
            case Cancelled():
                self._clear()
                message = replace(message, at_seconds=self.track.queue.played_seconds)
            case SentenceStart():
                self.track.queue.mark(message)
                return
        self._send(message_json(message))

    async def send_audio(self, audio: bytes) -> None:
        """Encode 48 kHz samples and let them wait for their time."""
        self.track.push(await self._encoder.encode(audio))
        await self.track.has_room()

    async def close(self, ending: Ending) -> None:  # noqa: ARG002 - the messages before say how it ends
        """Let the connection end after what was sent."""
        self.closed.set()

    def _send(self, text: str) -> None:
        if self._has_left or (self._channel is not None and self._channel.readyState != "open"):
            raise ClientLeftError
        if self._channel is None:
            self._unsent.append(text)
        else:
            self._channel.send(text)

    def _refuse(self, error: ApiError) -> None:
        """Send the error of a message; the session goes on."""
        with suppress(ClientLeftError):
            self._send(message_json(SessionError(error)))

    def _send_starts(self, played: Played, time_stamp: int) -> None:
        """Send the starts of sentences whose first packet was the last one."""
        if self._has_left:
            return
        at_seconds = max(0.0, round(self.track.queue.played_seconds - FRAME_SECONDS, _MILLISECONDS))
        media_seconds = round(time_stamp / SAMPLE_RATE, _MILLISECONDS)
        rtp_timestamp = self.rtp_timestamp()
        more = {} if rtp_timestamp is None else {"rtp_timestamp": rtp_timestamp}
        for start in played.starts:
            self._send(message_json(replace(start, at_seconds=at_seconds), media_seconds=media_seconds, **more))

    def _clear(self) -> None:
        self._encoder.clear()
        self.track.clear()


def as_played(start: SessionStart) -> SessionStart:
    """Return a start whose audio is what the track encodes, whichever format it asks for."""
    return start.model_copy(update={"response_format": "pcm", "sample_rate": SAMPLE_RATE})
