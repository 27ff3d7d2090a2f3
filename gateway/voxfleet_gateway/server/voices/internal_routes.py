"""/internal/voices: what pods fetch for a request, and what gateways ask of one another.

Knows: what gives access to what. A gateway's token, or on the port for peers a region's certificate: every voice. A
pod's token, which came with the request that it speaks: the voices of that request's tenant.
"""

import time
import uuid
from dataclasses import dataclass, field

from aiohttp import web

from voxfleet_gateway.decisions.voice_names import is_voice_id
from voxfleet_gateway.errors import VoicesUnavailableError
from voxfleet_gateway.server.requests.authentication import PEER_REGION
from voxfleet_gateway.tokens import bearer_matches, gateway_token, tenant_of_voice_token
from voxfleet_gateway.voices.peers import (
    CHANGE_LIST,
    CHANGED_PATH,
    PAGE_VOICES,
    TENANT_HEADER,
    VOICES_PATH,
    ChangeList,
    VoicePeers,
)
from voxfleet_gateway.voices.repository import VoiceRepository


@dataclass(slots=True)
class InternalVoices:
    """The handlers."""

    repository: VoiceRepository
    peers: VoicePeers
    internal_key: str
    process: str = field(default_factory=lambda: uuid.uuid4().hex)  # changes are numbered within it

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(VOICES_PATH, self.list)
        app.router.add_post(CHANGED_PATH, self.changed)
        app.router.add_get(VOICES_PATH + "/{voice}", self.file)

    async def list(self, request: web.Request) -> web.Response:
        """Respond with headers that changed since the peer asked last, deletions included; at most a page of them."""
        if not self._is_gateway(request):
            return _unauthorized()
        try:
            self.repository.check_presence()
        except VoicesUnavailableError as error:
            return _unavailable(error)
        index, presence = self.repository.index, self.repository.presence
        since = presence.since if presence is not None else 0
        if request.query.get("digest") == index.digest():
            return _list(ChangeList(self.process, index.last_change, since=since))
        after = request.query.get("after", "")
        is_known = request.query.get("process") == self.process and after.isascii() and after.isdigit()
        number = int(after[:18]) if is_known else 0
        voices, last_change = index.changed_after(number, PAGE_VOICES)
        return _list(ChangeList(self.process, last_change, voices, not number, last_change == index.last_change, since))

    async def changed(self, request: web.Request) -> web.Response:
        """Compare lists with the peers now."""
        if not self._is_gateway(request):
            return _unauthorized()
        self.peers.changed.set()
        return web.Response(status=202)

    async def file(self, request: web.Request) -> web.Response:
        """Respond with a voice's file; for a pod it may come from a peer."""
        voice, authorization = request.match_info["voice"], request.headers.get("Authorization")
        try:
            self.repository.check_presence()
            if self._is_gateway(request):
                data = await self.repository.read_own((request.headers.get(TENANT_HEADER, ""), voice))
            elif not is_voice_id(voice):
                return _unauthorized()  # consents are for gateways alone
            elif (tenant := tenant_of_voice_token(self.internal_key, authorization, time.time())) is not None:
                data = await self.repository.read(tenant, voice)
            else:
                return _unauthorized()
        except VoicesUnavailableError as error:
            return _unavailable(error)
        if data is None:
            return web.json_response({"error": {"message": "There is no such voice."}}, status=404)
        return web.Response(body=data, content_type="application/octet-stream")

    def _is_gateway(self, request: web.Request) -> bool:
        if request.get(PEER_REGION) is not None:  # by the certificate, which the port for peers has checked
            return True
        return bearer_matches(request.headers.get("Authorization"), gateway_token(self.internal_key))


def _list(changes: ChangeList) -> web.Response:
    return web.Response(body=CHANGE_LIST.dump_json(changes), content_type="application/json")


def _unavailable(error: VoicesUnavailableError) -> web.Response:
    return web.json_response({"error": {"message": str(error)}}, status=503)


def _unauthorized() -> web.Response:
    return web.json_response({"error": {"message": "A valid bearer token is required."}}, status=401)
