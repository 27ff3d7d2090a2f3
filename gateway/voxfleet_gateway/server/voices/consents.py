"""/v1/audio/voice_consents: recordings in which speakers agree, stored, listed, renamed and deleted for a tenant.

Knows: OpenAI's form of a consent, that a consent is kept while a voice names it.
Does not know: the fields of consents (voxfleet_protocols.voice_upload), files, other gateways, what a recording says:
no pod is sent one.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from voxfleet_protocols.voice_upload import consent_request, name_field

from voxfleet_gateway.decisions.voice_names import CONSENT_PREFIX, is_consent_id
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import (
    bad_request,
    consent_in_use,
    unknown_consent,
    unknown_consent_of_voice,
    voices_not_kept,
)
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.protocols.refused import as_refusal
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.body_fields import MAX_FIELD_BYTES, read_fields
from voxfleet_gateway.server.voices.storage import on_disk
from voxfleet_gateway.voices.file_format import (
    StoredVoice,
    VoiceHeader,
    parse,
    voice_id,
)
from voxfleet_gateway.voices.repository import VoiceRepository

PATH = "/v1/audio/voice_consents"
MAX_PAGE, DEFAULT_PAGE = 100, 20  # OpenAI's bounds of `limit`


def consent_of(fields: Mapping[str, Any], tenant: str) -> StoredVoice:
    """Return the consent of a request's fields, to be stored. Raises RequestRefusedError (400)."""
    with as_refusal():
        wanted = consent_request(fields)
    header = VoiceHeader(
        id=voice_id(wanted.recording, wanted.language, "consent"),
        name=wanted.name,
        created_at=int(time.time()),
        type="consent",
        language=wanted.language,
        payload_bytes=len(wanted.recording),
        tenant=tenant,
    )
    return StoredVoice(header, wanted.recording)


async def check_consent(repository: VoiceRepository, tenant: str, consent: str) -> None:
    """Check that a voice's consent is in words, or the id of one of the tenant's. Raises RequestRefusedError (400)."""
    if consent.startswith(CONSENT_PREFIX):
        found = await on_disk(repository.find(tenant, consent)) if is_consent_id(consent) else None
        if found is None:
            raise RequestRefusedError(unknown_consent_of_voice(consent))


@dataclass(slots=True)
class Consents:
    """The handlers; without a repository each responds with 501."""

    repository: VoiceRepository | None
    speech: Speech

    async def list(self, request: web.Request) -> web.Response:
        """Respond with a page of the consents that the caller may name, without their recordings."""
        repository = self._own()
        await on_disk(repository.refresh())
        rows = [_as_consent(each) for each in repository.index.consents_of(request[CONTEXT].caller.tenant)]
        limit = _page_size(request.query.get("limit", str(DEFAULT_PAGE)))
        return web.json_response(_page(rows, request.query.get("after", ""), limit))

    async def create(self, request: web.Request) -> web.Response:
        """Store a recording; one that is stored already gets the new name."""
        repository, caller = self._own(), request[CONTEXT].caller
        with self.speech.bodies.reserve() as reservation:
            made = consent_of(await read_fields(request, reservation, caller.max_body_bytes), caller.tenant)
            return web.json_response(_as_consent(await on_disk(repository.put(made))))

    async def get(self, request: web.Request) -> web.Response:
        """Respond with one consent."""
        return web.json_response(_as_consent(await self._found(request)))

    async def rename(self, request: web.Request) -> web.Response:
        """Give one of the caller's own consents another name."""
        with self.speech.bodies.reserve() as reservation:
            fields = await read_fields(request, reservation, MAX_FIELD_BYTES)
        with as_refusal():
            name = name_field(fields)
        repository, found = self._own(), await self._found(request)
        is_own = found.tenant == request[CONTEXT].caller.tenant
        data = await on_disk(repository.read_own(found.key)) if is_own else None
        if data is None:
            raise RequestRefusedError(unknown_consent(found.id))
        renamed = StoredVoice(found.model_copy(update={"name": name}), parse(data, found.key).payload)
        return web.json_response(_as_consent(await on_disk(repository.put(renamed))))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one of the caller's own consents, everywhere; not one that voices name."""
        found, repository = await self._found(request), self._own()
        tenant = request[CONTEXT].caller.tenant
        if using := repository.index.made_with(found):
            own = [each.id for each in using if each.tenant == tenant]
            raise RequestRefusedError(consent_in_use(len(using), own))
        if not await on_disk(repository.delete((tenant, found.id))):
            raise RequestRefusedError(unknown_consent(found.id))
        return web.json_response({"id": found.id, "object": "audio.voice_consent", "deleted": True})

    async def _found(self, request: web.Request) -> VoiceHeader:
        repository, name = self._own(), request.match_info["consent"]
        tenant = request[CONTEXT].caller.tenant
        header = await on_disk(repository.find(tenant, name)) if is_consent_id(name) else None
        if header is None:
            raise RequestRefusedError(unknown_consent(name))
        return header

    def _own(self) -> VoiceRepository:
        if self.repository is None:
            raise RequestRefusedError(voices_not_kept())
        return self.repository


def _as_consent(header: VoiceHeader) -> dict[str, Any]:
    consent = {"id": header.id, "object": "audio.voice_consent", "created_at": header.created_at}
    return {**consent, "name": header.name, "language": header.language}


def _page_size(given: str) -> int:
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:4]) <= MAX_PAGE):
        message = f"'limit' must be an integer from 1 to {MAX_PAGE}; given {given[:20]!r}."
        raise RequestRefusedError(bad_request(message, "limit", "invalid"))
    return int(given)


def _page(rows: Sequence[dict[str, Any]], after: str, limit: int) -> dict[str, Any]:
    """Return the rows that follow the one with the id `after`, at most `limit`; all of them after an unknown id."""
    start = next((number for number, row in enumerate(rows, 1) if row["id"] == after), 0)
    page = rows[start : start + limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": page, **ends, "has_more": start + limit < len(rows)}
