"""The routes of WebRTC sessions: an offer is answered, a session is deleted.

Knows: FastAPI, and that the extra `webrtc` may not be installed; its packages are imported with the first use, in a
thread, because they take as long as the rest of the server.
Does not know: WebRTC.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from voxfleet_protocols.ice_servers import parse_ice_servers

from voxfleet_inference.admission.callers import Caller
from voxfleet_inference.admission.middleware import caller_of
from voxfleet_inference.errors import ApiError, NotOfferedError, UnavailableError, UnknownSessionError
from voxfleet_inference.requests import check_model
from voxfleet_inference.server.live.client_messages import SessionStart
from voxfleet_inference.server.live.rtc.account import HEADER, Account
from voxfleet_inference.server.live.rtc.offer import SDP_TYPE, parse_offer
from voxfleet_inference.server.request_body import read_body
from voxfleet_inference.server.service import SpeechService

if TYPE_CHECKING:
    from voxfleet_inference.server.live.rtc.sessions import RtcSessions

PATH: Final = "/v1/audio/speech/rtc"
_SESSIONS_MODULE: Final = "voxfleet_inference.server.live.rtc.sessions"


class RtcRoutes:
    """The handlers, and the sessions once there was an offer."""

    def __init__(self, service: SpeechService) -> None:
        self._service = service
        self._sessions: RtcSessions | None = None
        self._loading = asyncio.Lock()
        self._accounts: dict[str, Account] = {}  # that no session has taken

    async def offer(self, request: Request) -> Response:
        """Answer an offer: 201, and the session's address in Location, as WHEP does."""
        media_type = request.headers.get("content-type", "")
        sessions, tracker = await self.sessions(), self._service.tracker
        try:
            offer = parse_offer(await read_body(request, self._service.settings.max_body_bytes), media_type)
            for message in offer.messages:
                if isinstance(message, SessionStart):
                    check_model(message.model, self._service.settings.model_names)
            caller = caller_of(request.scope)
            opened = sessions.admit(offer.messages, caller, self._account(request.headers.get(HEADER), caller))
        except ApiError as rejected:
            tracker.rejected(rejected.status)
            raise
        sdp = await sessions.answer(opened, offer.sdp)  # a failure is counted as the end of the session
        headers = {"location": f"{PATH}/{opened.session_id}", "cache-control": "no-store"}
        if media_type.startswith(SDP_TYPE):
            return Response(sdp, 201, headers, SDP_TYPE)
        return JSONResponse({"type": "answer", "sdp": sdp, "session_id": opened.session_id}, 201, headers)

    async def account(self, socket: WebSocket) -> None:
        """Keep the account of a session that is about to be offered; a gateway opens it.

        It gives no right: a session with an account can do less than one without.
        """
        account = Account(socket, caller_of(socket.scope).tenant)
        self._accounts[account.account_id] = account
        await socket.accept()
        try:
            await account.run()
        finally:
            self._accounts.pop(account.account_id, None)

    def _account(self, account_id: str | None, caller: Caller) -> Account | None:
        if account_id is None:
            return None
        account = self._accounts.pop(account_id, None)
        if account is None or account.tenant != caller.tenant:  # its connection broke: the gateway tries again
            raise UnavailableError("the account of this offer is gone", code="account_lost", retry_after_seconds=1)
        account.keep()
        return account

    async def delete(self, session_id: str, request: Request) -> Response:
        """End a session at once."""
        if self._sessions is None or not self._sessions.end(session_id, caller_of(request.scope)):
            raise UnknownSessionError(f"there is no session '{session_id[:40]}'", code="session_not_found")
        return Response(status_code=204)

    async def sessions(self) -> RtcSessions:
        """Return the sessions; import what they need with the first call.

        Raises:
            NotOfferedError: the extra is not installed, or the settings allow no session.
        """
        _check_offered(self._service)
        async with self._loading:
            if self._sessions is None:
                module: Any = await asyncio.to_thread(import_module, _SESSIONS_MODULE)
                self._sessions = module.RtcSessions(self._service)
        return self._sessions

    async def close(self) -> None:
        """End all sessions."""
        if self._sessions is not None:
            await self._sessions.close()


def add_rtc(app: FastAPI, service: SpeechService) -> RtcRoutes:
    """Add the routes."""
    routes = RtcRoutes(service)

    @app.get(PATH)
    async def rtc_offered() -> dict[str, Any]:
        """Whether this server offers WebRTC; the first offer then need not wait for its packages."""
        await routes.sessions()
        return {
            "object": "rtc",
            "channel": "voxfleet",
            "ice_servers": parse_ice_servers(service.settings.rtc_ice_servers),
        }

    app.add_api_websocket_route(PATH + "/account", routes.account)

    @app.post(PATH, status_code=201)
    async def rtc_offer(request: Request) -> Response:
        """Open a session: an SDP offer in, the answer out."""
        return await routes.offer(request)

    @app.delete(PATH + "/{session_id}", status_code=204)
    async def rtc_delete(session_id: str, request: Request) -> Response:
        """End a session."""
        return await routes.delete(session_id, request)

    return routes


def _check_offered(service: SpeechService) -> None:
    if not service.settings.max_rtc_sessions:
        raise NotOfferedError("this server offers no WebRTC: --max-rtc-sessions is 0", code="rtc_not_offered")
    if find_spec("aiortc") is None:
        message = "this server offers no WebRTC: install it with its extra, pip install 'voxfleet[inference,webrtc]'"
        raise NotOfferedError(message, code="rtc_not_installed")
