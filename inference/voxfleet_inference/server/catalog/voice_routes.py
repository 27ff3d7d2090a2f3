"""/v1/audio/voices and its alias /v1/voices: make, list, get and delete voices.

Knows: FastAPI, OpenAI's form of a voice, and the fields of a voice.
Does not know: the limits on uploads, how voices are made or stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from voxfleet_protocols.voice_upload import FIELDS, voice_request, with_own_names

from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.server.catalog.uploads import ReadBody, Uploads
from voxfleet_inference.voice_names import BUILT_IN_VOICES
from voxfleet_inference.voices.body_fields import read_fields
from voxfleet_inference.voices.file_format import VoiceMetadata

if TYPE_CHECKING:
    from voxfleet_inference.server.service import SpeechService

PATHS: Final = ("/v1/audio/voices", "/v1/voices")
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        name: {"type": "integer" if name == "seed" else "string", "description": f"It must be {wanted}."}
        for name, wanted in FIELDS.items()
    },
}
_FORM_SCHEMA: Final[dict[str, Any]] = {
    **_SCHEMA,
    "properties": {**_SCHEMA["properties"], "audio_sample": {"type": "string", "format": "binary"}},
}
_BODY_SCHEMA: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}, "application/json": {"schema": _SCHEMA}},
    }
}


def add_voices(app: FastAPI, service: SpeechService, read_body: ReadBody) -> None:
    """Add the four operations under both paths."""
    uploads = Uploads(service, read_body)
    for path in PATHS:
        _add_under(app, service, uploads, path)


def _add_under(app: FastAPI, service: SpeechService, uploads: Uploads, path: str) -> None:
    in_schema = path == PATHS[0]

    @app.get(path, include_in_schema=in_schema)
    async def all_voices() -> dict[str, Any]:
        """The built-in and stored voices; `voices` has the table's names too, for Open WebUI; `aliases` are others."""
        stored = await service.voices.repository.all_metadata()
        data = [*(_built_in(name) for name in BUILT_IN_VOICES), *(_as_voice(metadata) for metadata in stored)]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}
        voices = [{"id": voice_id, "name": name} for voice_id, name in service.voices.listed(stored)]
        return {"object": "list", "data": data, "voices": voices, **ends, "aliases": service.voices.aliases(stored)}

    @app.post(path, openapi_extra=_BODY_SCHEMA, include_in_schema=in_schema)
    async def create(request: Request) -> dict[str, Any]:
        """Make a voice, from a recording with consent, by a seed, or by the seed of a prompt."""
        service.voices.repository.check_writable()  # first: an upload that must fail is not received

        async def made(body: bytes) -> VoiceMetadata:
            fields = with_own_names(await read_fields(request.headers, body))
            with as_field_error():
                wanted = voice_request(fields)
            return await service.voices.create(wanted, service.supervisor.engine)

        return _as_voice(await uploads.use(request, made))

    @app.get(path + "/{voice_id}", include_in_schema=in_schema)
    async def one_voice(voice_id: str) -> dict[str, Any]:
        """One voice, with the transcript of its sample."""
        if voice_id in BUILT_IN_VOICES:
            return _built_in(voice_id)
        metadata = await service.voices.get(voice_id)
        return {**_as_voice(metadata), "transcript": metadata.transcript, "consent": metadata.consent}

    @app.delete(path + "/{voice_id}", include_in_schema=in_schema)
    async def delete(voice_id: str) -> dict[str, Any]:
        """Delete a stored voice."""
        await service.voices.delete(voice_id)
        return {"id": voice_id, "object": "audio.voice.deleted", "deleted": True}


def _built_in(name: str) -> dict[str, Any]:
    return {"id": name, "object": "audio.voice", "created_at": 0, "name": name, "type": "built_in"}


def _as_voice(metadata: VoiceMetadata) -> dict[str, Any]:
    voice: dict[str, Any] = {
        "id": metadata.id,
        "object": "audio.voice",
        "created_at": metadata.created_at,
        "name": metadata.name,
    }
    voice |= {"type": metadata.type} | ({} if metadata.seed is None else {"seed": metadata.seed})
    # VoxCPM 1.5 follows no description: the prompt names the voice, and gives the seed that draws it.
    prompted = {"type": "prompt", "prompt": metadata.prompt, "prompt_followed": False}
    return voice | prompted if metadata.prompt else voice
