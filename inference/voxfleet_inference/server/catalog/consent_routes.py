"""/v1/audio/voice_consents: recordings in which speakers agree, as OpenAI's clients send and read them.

Knows: FastAPI, OpenAI's form of a consent, and pages of lists.
Does not know: how consents are stored, which voices name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from voxfleet_protocols.voice_upload import CONSENT_FIELDS, FIELDS

from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.server.catalog.uploads import ReadBody, Uploads
from voxfleet_inference.voices.body_fields import read_fields
from voxfleet_inference.voices.file_format import VoiceMetadata

if TYPE_CHECKING:
    from voxfleet_inference.server.service import SpeechService

PATH: Final = "/v1/audio/voice_consents"
MAX_PAGE: Final = 100  # OpenAI's bounds of `limit`
DEFAULT_PAGE: Final = 20
_NAME: Final = {"type": "string", "description": f"It must be {FIELDS['name']}."}
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", *CONSENT_FIELDS],
    "properties": {
        "name": _NAME,
        "recording": {
            "type": "string",
            "format": "binary",
            "description": f"It must be {CONSENT_FIELDS['recording']}.",
        },
        "language": {"type": "string", "description": f"It must be {CONSENT_FIELDS['language']}."},
    },
}
_UPDATE: Final[dict[str, Any]] = {"type": "object", "required": ["name"], "properties": {"name": _NAME}}


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def add_consents(app: FastAPI, service: SpeechService, read_body: ReadBody) -> None:
    """Add the five operations."""
    uploads, consents = Uploads(service, read_body), service.voices.consents

    @app.get(PATH)
    async def all_consents(
        limit: Annotated[str, Query(description=f"1 to {MAX_PAGE}")] = str(DEFAULT_PAGE), after: str = ""
    ) -> dict[str, Any]:
        """Consents without their recordings, oldest first; `after` is the last id of the page before."""
        return _page([_as_consent(each) for each in await consents.all()], after, _page_size(limit))

    @app.post(PATH, openapi_extra=_body("multipart/form-data", _FORM))
    async def create_consent(request: Request) -> dict[str, Any]:
        """Store a recording in which a speaker agrees; voices name it by its id."""
        service.voices.repository.check_writable()  # first: an upload that must fail is not received

        async def made(body: bytes) -> VoiceMetadata:
            return await consents.create(await read_fields(request.headers, body))

        return _as_consent(await uploads.use(request, made))

    @app.get(PATH + "/{consent_id}")
    async def one_consent(consent_id: str) -> dict[str, Any]:
        """One consent."""
        return _as_consent(await consents.get(consent_id))

    @app.post(PATH + "/{consent_id}", openapi_extra=_body("application/json", _UPDATE))
    async def rename_consent(request: Request, consent_id: str) -> dict[str, Any]:
        """Give a consent another name."""
        fields = await read_fields(request.headers, await read_body(request))
        return _as_consent(await consents.rename(consent_id, fields))

    @app.delete(PATH + "/{consent_id}")
    async def delete_consent(consent_id: str) -> dict[str, Any]:
        """Delete a consent that no voice names."""
        await consents.delete(consent_id)
        return {"id": consent_id, "object": "audio.voice_consent", "deleted": True}


def _as_consent(metadata: VoiceMetadata) -> dict[str, Any]:
    consent = {"id": metadata.id, "object": "audio.voice_consent", "created_at": metadata.created_at}
    return {**consent, "name": metadata.name, "language": metadata.language}


def _page_size(given: str) -> int:
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:4]) <= MAX_PAGE):
        message = f"'limit' must be an integer from 1 to {MAX_PAGE}; given {given[:20]!r}"
        raise InvalidFieldError(message, param="limit", code="invalid")
    return int(given)


def _page(rows: Sequence[dict[str, Any]], after: str, limit: int) -> dict[str, Any]:
    """Return the rows that follow the one with the id `after`, at most `limit`; all of them after an unknown id."""
    start = next((number for number, row in enumerate(rows, 1) if row["id"] == after), 0)
    page = rows[start : start + limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": page, **ends, "has_more": start + limit < len(rows)}
