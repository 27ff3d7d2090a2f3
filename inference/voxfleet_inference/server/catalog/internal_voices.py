"""/internal/voices on port 9091: voices for other servers, and what only a server with the model can do for a gateway.

Knows: `GET /internal/voices/{id}`, the file of a stored voice; `POST /internal/voices/check`, whether a recording can
be used; `POST /internal/voices/design`, the file of a voice drawn by a seed. The last two store nothing.
Does not know: tokens (internal.py), how voices are made, where they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from voxfleet_protocols.voice_upload import DesignedVoice, RecordedVoice, voice_request

from voxfleet_inference.errors import ApiError, InvalidFieldError, UnknownVoiceError
from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.server.catalog.uploads import ReadBody, Uploads
from voxfleet_inference.server.responses.errors import error_response
from voxfleet_inference.voices.file_format import VoiceFileError, parse_metadata, parse_voice, serialize_voice
from voxfleet_inference.voices.voice_making import UnusableRecordingError

if TYPE_CHECKING:
    from voxfleet_inference.server.service import SpeechService

PATH: Final = "/internal/voices"
_MEDIA_TYPE: Final = "application/octet-stream"
Endpoint = Callable[[Request], Awaitable[Response]]


def internal_voice_routes(
    service: SpeechService, read_body: ReadBody, guard: Callable[[Endpoint], Endpoint]
) -> list[Route]:
    """Return the routes, each behind `guard`, which checks the token."""
    handlers = _Handlers(service, Uploads(service, read_body))
    rows = (
        ("/check", handlers.check, "POST"),
        ("/design", handlers.design, "POST"),
        ("/{voice_id}", handlers.file, "GET"),
    )
    return [Route(PATH + path, guard(_with_errors(handler)), methods=[method]) for path, handler, method in rows]


class _Handlers:
    def __init__(self, service: SpeechService, uploads: Uploads) -> None:
        self._service, self._uploads = service, uploads

    async def file(self, request: Request) -> Response:
        """Respond with a voice of this server's folder, in the form that another server's `--voice-source` reads."""
        voice = await self._service.voices.repository.find_local(request.path_params["voice_id"])
        if voice is None:
            raise UnknownVoiceError("this server has no voice with that id", param="voice_id", code="voice_not_found")
        return Response(serialize_voice(voice), media_type=_MEDIA_TYPE)

    async def check(self, request: Request) -> Response:
        """Respond with whether the recording in the body, a voice's file, can be used, and why not."""
        return JSONResponse(await self._uploads.use(request, self._check))

    async def design(self, request: Request) -> Response:
        """Respond with the file of the voice that the body's seed draws; its fields are those of the public API."""
        return Response(await self._uploads.use(request, self._design), media_type=_MEDIA_TYPE)

    async def _check(self, body: bytes) -> dict[str, Any]:
        try:
            voice = parse_voice(body, parse_metadata(body).id)
        except VoiceFileError as error:
            raise InvalidFieldError(f"the body must be the file of a stored voice: {error}", code="invalid") from error
        metadata = voice.metadata
        recorded = RecordedVoice(metadata.name, voice.payload, metadata.transcript, metadata.consent)
        try:
            made = await self._service.voices.make(recorded, self._service.supervisor.engine)
        except UnusableRecordingError as error:
            return {"is_usable": False, "reason": error.reason, "patches": 0}
        return {"is_usable": True, "reason": "", "patches": made.metadata.patches}

    async def _design(self, body: bytes) -> bytes:
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidFieldError(f"the body must be a JSON object: {error}", code="invalid_json") from error
        with as_field_error():
            wanted = voice_request(fields) if isinstance(fields, dict) else None
        if not isinstance(wanted, DesignedVoice):
            raise InvalidFieldError("the body must be a JSON object with a 'seed'", param="seed", code="missing")
        return serialize_voice(await self._service.voices.make(wanted, self._service.supervisor.engine))


def _with_errors(handler: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ApiError as error:
            return error_response(error)

    return answer
