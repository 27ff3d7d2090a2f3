"""The WebRTC sessions of this server: how many, how long, and how each ends.

Knows: the limits, and that a session whose client does not connect or is gone ends its speech.
Does not know: HTTP, SDP or audio.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from voxfleet_inference.admission.callers import Caller
from voxfleet_inference.errors import RequestTimeoutError, UnavailableError
from voxfleet_inference.server.live.client_messages import ClientMessage
from voxfleet_inference.server.live.rtc.account import Account
from voxfleet_inference.server.live.rtc.media_port import MediaPort
from voxfleet_inference.server.live.rtc.opus import OpusEncoder
from voxfleet_inference.server.live.rtc.peer import Peer
from voxfleet_inference.server.live.rtc.transport import RtcTransport
from voxfleet_inference.server.live.session import Session
from voxfleet_inference.server.service import SpeechService

_CONNECT_SECONDS: Final = 15.0  # from the answer; ICE and DTLS need less than one where a client can reach the server
_MOST_ENDED: Final = 256  # sessions that a DELETE may still name
_CLOSE_SECONDS: Final = 2.0  # for the client to close, after the last message


@dataclass(frozen=True, slots=True, eq=False)
class RtcSession:
    """An admitted session; `RtcSessions.answer` connects it."""

    session_id: str
    caller: Caller
    session: Session
    transport: RtcTransport
    peer: Peer
    account: Account | None = None  # of the gateway that passed the offer on


class RtcSessions:
    """Opens sessions and ends them; belongs to the event loop's thread."""

    def __init__(self, service: SpeechService) -> None:
        settings = service.settings
        self._service, self._metrics = service, service.tracker.metrics.rtc
        self._port = MediaPort(settings.host, settings.rtc_port, settings.rtc_public_addresses)
        self._encoding = ThreadPoolExecutor(1, "opus")  # for all: a patch is encoded in a few milliseconds
        self._open: dict[str, RtcSession] = {}
        self._ended: deque[tuple[str, str]] = deque(maxlen=_MOST_ENDED)  # ids and tenants
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, messages: Iterable[ClientMessage], caller: Caller, account: Account | None = None) -> RtcSession:
        """Open a session, which begins at once: its audio waits for the connection; `messages` are paid for.

        Raises:
            UnavailableError: not ready, or as many sessions are open as may be.
            TooManyRequestsError: this tenant's share is reached.
        """
        self._check_room()
        session_id = uuid.uuid4().hex
        transport = RtcTransport(OpusEncoder(self._encoding))
        session = Session(self._service, transport, caller, session_id)
        session.admit()
        if account is not None:
            transport.use(account)
        for message in messages:
            transport.put(message)
        opened = RtcSession(session_id, caller, session, transport, Peer(transport, self._port), account)
        self._open[session_id] = opened
        self._metrics.sessions.set(len(self._open))
        task = asyncio.create_task(self._run(opened))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return opened

    async def answer(self, opened: RtcSession, sdp: str) -> str:
        """Return the answer to an offer; without one, the session ends.

        Raises:
            InvalidFieldError: the offer cannot be used.
            UnavailableError: no UDP socket can be bound.
        """
        try:
            return await opened.peer.answer(sdp)
        except BaseException:
            opened.transport.leave()
            raise

    def end(self, session_id: str, caller: Caller) -> bool:
        """End a session of this caller; whether there was one, lately: its connection may have ended it just before."""
        found = self._open.get(session_id)
        if found is None or found.caller.tenant != caller.tenant:
            return (session_id, caller.tenant) in self._ended
        found.transport.leave()
        return True

    async def close(self) -> None:
        """End every session, so that clients need not wait for a timeout; then close the port."""
        for each in self._open.values():
            each.transport.leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        self._port.close()
        self._encoding.shutdown(wait=False, cancel_futures=True)

    def _check_room(self) -> None:
        limit = self._service.settings.max_rtc_sessions
        if len(self._open) >= limit:
            message = f"{len(self._open)} WebRTC sessions are open; the limit is {limit}"
            retry_after = self._service.tracker.retry_after_seconds()
            raise UnavailableError(message, code="sessions_full", retry_after_seconds=retry_after)

    async def _run(self, opened: RtcSession) -> None:
        helping = [asyncio.create_task(self._connect(opened))]
        if opened.transport.admitted is not None:
            helping.append(asyncio.create_task(opened.transport.admitted.run()))
        transport, max_seconds = opened.transport, self._service.settings.max_request_seconds
        expiry = asyncio.get_running_loop().call_later(max_seconds, transport.put, _expired(max_seconds))
        try:
            with structlog.contextvars.bound_contextvars(request_id=opened.session_id):
                await opened.session.run()
            if transport.closed.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(opened.peer.gone.wait(), _CLOSE_SECONDS)
        finally:
            expiry.cancel()
            for task in helping:
                task.cancel()
            del self._open[opened.session_id]
            self._ended.append((opened.session_id, opened.caller.tenant))
            self._metrics.sessions.set(len(self._open))
            self._metrics.late_frames.inc(transport.track.clock.late_frames if transport.track.clock else 0)
            await opened.peer.close()
            if opened.account is not None:
                await opened.account.close(transport.track.queue.played_seconds)

    async def _connect(self, opened: RtcSession) -> None:
        """End a session that is not connected in time."""
        loop, began_at = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(opened.peer.connected.wait(), _CONNECT_SECONDS)
        except TimeoutError:
            self._metrics.unconnected.inc()
            opened.transport.leave()
        else:
            self._metrics.connect_seconds.observe(loop.time() - began_at)


def _expired(seconds: float) -> RequestTimeoutError:
    return RequestTimeoutError(f"the session lasted for {seconds:g} s, the limit", code="session_too_long")
