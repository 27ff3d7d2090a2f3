"""/v1/audio/voices and its alias /v1/voices: make, list, get and delete a tenant's voices.

Knows: OpenAI's form of a voice; that only a designed one needs a pod, and that a pod which is awake checks a recording.
Does not know: files, other gateways, how a pod is found.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from voxfleet_protocols.voice_upload import DesignedVoice, RecordedVoice

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.voice_names import BUILT_IN, is_voice_id, other_names
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import (
    bad_request,
    unknown_voice,
    unusable_voice,
    voices_not_kept,
)
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.body_fields import MAX_FIELD_BYTES
from voxfleet_gateway.server.voices.consents import check_consent
from voxfleet_gateway.server.voices.designer import Designer
from voxfleet_gateway.server.voices.storage import on_disk
from voxfleet_gateway.server.voices.upload import read_upload
from voxfleet_gateway.voices.checker import VoiceChecker
from voxfleet_gateway.voices.file_format import Check, StoredVoice, VoiceHeader, parse, serialize, voice_id
from voxfleet_gateway.voices.pod_voices import PodVoices
from voxfleet_gateway.voices.repository import VoiceRepository

PATHS = ("/v1/audio/voices", "/v1/voices")
STATUS = {Check.PENDING: "pending", Check.PASSED: "ready", Check.FAILED: "unusable"}


@dataclass(slots=True)
class Voices:
    """The handlers; without a repository the built-in voices are all that there is, and the others respond with 501."""

    repository: VoiceRepository | None
    speech: Speech
    pods: PodVoices
    checker: VoiceChecker | None = None

    async def list(self, request: web.Request) -> web.Response:
        """Respond with the built-in voices and those that the caller may use."""
        kept: list[VoiceHeader] = []
        if self.repository is not None:
            await on_disk(self.repository.refresh())
            kept = self.repository.index.of_tenant(request[CONTEXT].caller.tenant)
        data = [*(_built_in(name) for name in BUILT_IN), *map(_as_voice, kept)]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}
        tables = self._tables(request)
        aliases = other_names(tables, {each.name for each in kept})
        named = [(name, name) for name in (*BUILT_IN, *tables)]
        # As Open WebUI reads them, which offers its users what it finds here.
        voices = [{"id": id_, "name": name} for id_, name in (*named, *((each.id, each.name) for each in kept))]
        return web.json_response({"object": "list", "data": data, "voices": voices, **ends, "aliases": aliases})

    def _tables(self, request: web.Request) -> dict[str, str]:
        """Return the names in the tables of the caller's models; a request names its model, and so the table."""
        dispatcher = self.speech.dispatcher
        by_name, names = dispatcher.fleet.registry().by_name, dispatcher.names(request[CONTEXT].caller)
        return {alias: voice for name in names for alias, voice in by_name[name].voices.items()}

    async def create(self, request: web.Request) -> web.Response:
        """Store a recording, or what a pod draws by a seed, as a voice."""
        repository, caller = self._own(), request[CONTEXT].caller
        with self.speech.bodies.reserve() as reservation:
            upload = await read_upload(request, reservation, caller.max_body_bytes)
            if isinstance(upload, DesignedVoice):
                voice = await self._designed(request, upload, repository)
            else:
                voice = await self._recorded(upload, caller, repository)
            header = await on_disk(repository.put(voice))
        return web.json_response(_as_voice(header))

    async def draw(self, request: web.Request) -> web.Response:
        """Respond to a gateway of another region with the file of a voice by a seed; that gateway stores it."""
        with self.speech.bodies.reserve() as reservation:
            upload = await read_upload(request, reservation, MAX_FIELD_BYTES)
        if not isinstance(upload, DesignedVoice):
            raise RequestRefusedError(bad_request("The voice must have a 'seed'.", "seed", "missing"))
        designer, context = Designer(self.speech, self.pods), request[CONTEXT]
        wanted = designer.wanted(replace(upload, model=context.asked_model), context)
        voice = await designer.design(request, wanted)
        return web.Response(body=serialize(voice), content_type="application/octet-stream")

    async def _recorded(self, upload: RecordedVoice, caller: Caller, repository: VoiceRepository) -> StoredVoice:
        """Return the voice of a recording, checked if a pod is awake. Raises RequestRefusedError (400)."""
        await check_consent(repository, caller.tenant, upload.consent)
        voice = _voice(upload, caller.tenant)
        await on_disk(repository.check_room(voice.header.key, len(voice.payload)))
        may_use = self.speech.dispatcher.may_use
        result = await self.checker.check(voice, lambda model: may_use(model, caller)) if self.checker else None
        if result is None:
            return voice
        if not result.is_usable:
            raise RequestRefusedError(unusable_voice("audio_sample", result.reason))
        return StoredVoice(result.applied_to(voice.header), voice.payload)

    async def _designed(self, request: web.Request, upload: DesignedVoice, repository: VoiceRepository) -> StoredVoice:
        """Return the voice of a seed: the one that was drawn before for the same request, or a new one."""
        designer = Designer(self.speech, self.pods)
        wanted = designer.wanted(upload, request[CONTEXT])
        await on_disk(repository.check_room(wanted.key, 0))
        known = repository.index.designed(wanted)
        data = await on_disk(repository.read_own(known.key)) if known is not None else None
        if known is not None and data is not None:
            return StoredVoice(
                known.model_copy(update={"name": wanted.name, "prompt": wanted.prompt}), parse(data, known.key).payload
            )
        return await designer.design(request, wanted)

    async def get(self, request: web.Request) -> web.Response:
        """Respond with one voice and its transcript."""
        name = request.match_info["voice"]
        if name in BUILT_IN:
            return web.json_response(_built_in(name))
        repository = self._own()
        header = await on_disk(repository.find(request[CONTEXT].caller.tenant, name)) if is_voice_id(name) else None
        if header is None:
            raise RequestRefusedError(unknown_voice(name))
        return web.json_response({**_as_voice(header), "transcript": header.transcript, "consent": header.consent})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one of the caller's own voices, everywhere."""
        name = request.match_info["voice"]
        repository, key = self._own(), (request[CONTEXT].caller.tenant, name)
        if not is_voice_id(name) or not await on_disk(repository.delete(key)):
            raise RequestRefusedError(unknown_voice(name))
        return web.json_response({"id": name, "object": "audio.voice.deleted", "deleted": True})

    def _own(self) -> VoiceRepository:
        if self.repository is None:
            raise RequestRefusedError(voices_not_kept())
        return self.repository


def _voice(upload: RecordedVoice, tenant: str) -> StoredVoice:
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
    voice |= {"type": header.type, "status": STATUS[header.check]}
    if header.type == "seed":
        drawn = {**voice, "seed": header.seed, "model": header.model}
        # VoxCPM 1.5 follows no description: the prompt names the voice, and gives the seed that draws it.
        return drawn | ({"type": "prompt", "prompt": header.prompt, "prompt_followed": False} if header.prompt else {})
    return {**voice, "reason": header.reason} if header.check is Check.FAILED else voice
