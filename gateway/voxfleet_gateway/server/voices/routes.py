"""/v1/audio/voices and its alias /v1/voices: make, list, get and delete a tenant's voices, without any pod.

Knows: OpenAI's form of a voice. Does not know: files, other gateways.
"""

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voxfleet_gateway.errors import RequestRefusedError, VoicesFullError, VoicesUnavailableError
from voxfleet_gateway.refusals import unknown_voice, voices_full, voices_not_kept, voices_unavailable
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.requests.request_body import BodyBudget
from voxfleet_gateway.server.voices.upload import VoiceUpload, read_upload
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, voice_id
from voxfleet_gateway.voices.repository import VoiceRepository

PATHS = ("/v1/audio/voices", "/v1/voices")
BUILT_IN = ("default", "random")
OPENAI_NAMES = "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split()  # noqa: SIM905


@dataclass(slots=True)
class Voices:
    """The handlers; without a repository each responds with 501."""

    repository: VoiceRepository | None
    bodies: BodyBudget

    async def list(self, request: web.Request) -> web.Response:
        """Respond with the built-in voices and those that the caller may use."""
        repository = self._own()
        await on_disk(repository.refresh())
        kept = [_as_voice(header) for header in repository.index.of_tenant(request[CONTEXT].caller.tenant)]
        data = [*(_built_in(name) for name in BUILT_IN), *kept]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}
        aliases = dict.fromkeys(OPENAI_NAMES, BUILT_IN[0])
        return web.json_response({"object": "list", "data": data, **ends, "aliases": aliases})

    async def create(self, request: web.Request) -> web.Response:
        """Store a recording as a voice."""
        repository, caller = self._own(), request[CONTEXT].caller
        with self.bodies.reserve() as reservation:
            upload = await read_upload(request, reservation, caller.max_body_bytes)
            header = await on_disk(repository.put(_voice(upload, caller.tenant)))
        return web.json_response(_as_voice(header))

    async def get(self, request: web.Request) -> web.Response:
        """Respond with one voice and its transcript."""
        name = request.match_info["voice"]
        if name in BUILT_IN:
            return web.json_response(_built_in(name))
        header = await on_disk(self._own().find(request[CONTEXT].caller.tenant, name))
        if header is None:
            raise RequestRefusedError(unknown_voice(name))
        return web.json_response({**_as_voice(header), "transcript": header.transcript, "consent": header.consent})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one of the caller's own voices, everywhere."""
        name = request.match_info["voice"]
        if not await on_disk(self._own().delete((request[CONTEXT].caller.tenant, name))):
            raise RequestRefusedError(unknown_voice(name))
        return web.json_response({"id": name, "object": "audio.voice.deleted", "deleted": True})

    def _own(self) -> VoiceRepository:
        if self.repository is None:
            raise RequestRefusedError(voices_not_kept())
        return self.repository


async def on_disk(call: Any) -> Any:
    """Await a call of the repository; raise its errors as responses."""
    try:
        return await call
    except VoicesFullError as error:
        raise RequestRefusedError(voices_full(str(error))) from error
    except VoicesUnavailableError as error:
        raise RequestRefusedError(voices_unavailable(str(error))) from error


def _voice(upload: VoiceUpload, tenant: str) -> StoredVoice:
    header = VoiceHeader(
        id=voice_id(upload.recording, upload.transcript),
        name=upload.name,
        created_at=int(time.time()),
        transcript=upload.transcript,
        consent=upload.consent,
        payload_bytes=len(upload.recording),
        tenant=tenant,
    )
    return StoredVoice(header, upload.recording)


def _built_in(name: str) -> dict[str, Any]:
    return {"id": name, "object": "audio.voice", "created_at": 0, "name": name, "type": "built_in"}


def _as_voice(header: VoiceHeader) -> dict[str, Any]:
    voice = {"id": header.id, "object": "audio.voice", "created_at": header.created_at, "name": header.name}
    return {**voice, "type": header.type}
