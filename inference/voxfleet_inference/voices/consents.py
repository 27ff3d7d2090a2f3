"""Recordings in which speakers agree to a voice: made, listed, renamed, deleted, and asked for by voices.

Knows: that a consent is kept while a voice names it.
Does not know: HTTP, the fields of consents (voxfleet_protocols.voice_upload), what a recording says, or how files are
written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from voxfleet_protocols.voice_upload import consent_request, name_field

from voxfleet_inference.errors import InvalidFieldError, UnknownVoiceError
from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.voice_names import is_consent_id
from voxfleet_inference.voices.file_format import StoredVoice, VoiceMetadata, voice_id
from voxfleet_inference.voices.repository import VoiceRepository

ID_PREFIX: Final = "cons_"
_SHOWN_CHARACTERS: Final = 40  # of an id in an error message
_SHOWN_IDS: Final = 4


def consent_of(fields: Mapping[str, Any]) -> StoredVoice:
    """Return the consent of a request's fields, to be stored.

    Raises:
        InvalidFieldError: naming the field, its value and what it must be.
    """
    with as_field_error():
        wanted = consent_request(fields)
    metadata = VoiceMetadata(
        id=voice_id("consent", wanted.recording, wanted.language),
        name=wanted.name,
        created_at=int(time.time()),
        type="consent",
        language=wanted.language,
        payload_bytes=len(wanted.recording),
    )
    return StoredVoice(metadata, wanted.recording)


class Consents:
    """The consents of one server, in the folder of its voices."""

    def __init__(self, repository: VoiceRepository) -> None:
        self._repository = repository

    async def create(self, fields: Mapping[str, Any]) -> VoiceMetadata:
        """Store a consent; one that is stored already gets the new name.

        Raises:
            InvalidFieldError: a field is wrong.
            StorageFullError: a limit is reached, or the disk is full.
        """
        made = consent_of(fields)
        known = await self._repository.on_disk(lambda disk: disk.metadata(made.metadata.id))
        return await self._put(made, made.metadata.created_at if known is None else known.created_at)

    async def all(self) -> tuple[VoiceMetadata, ...]:
        """Return all consents, oldest first."""
        return await self._repository.on_disk(lambda disk: disk.all_metadata(is_consent_id))

    async def get(self, consent_id: str) -> VoiceMetadata:
        """Return a consent without its recording. Raises UnknownVoiceError."""
        return (await self._stored(consent_id)).metadata

    async def rename(self, consent_id: str, fields: Mapping[str, Any]) -> VoiceMetadata:
        """Give a consent another name. Raises UnknownVoiceError, InvalidFieldError."""
        with as_field_error():
            name = name_field(fields)
        stored = await self._stored(consent_id)
        renamed = StoredVoice(stored.metadata.model_copy(update={"name": name}), stored.payload)
        return await self._put(renamed, stored.metadata.created_at)

    async def delete(self, consent_id: str) -> None:
        """Delete a consent.

        Raises:
            UnknownVoiceError: there is none.
            InvalidFieldError: voices were made with it.
        """
        using = [each.id for each in await self._repository.all_metadata() if each.consent == consent_id]
        if using:
            shown = ", ".join(using[:_SHOWN_IDS])
            message = f"{len(using)} voices were made with this consent; delete them first: {shown}"
            raise InvalidFieldError(message, param="consent_id", code="consent_in_use")
        is_deleted = is_consent_id(consent_id) and await self._repository.on_disk(lambda disk: disk.delete(consent_id))
        if not is_deleted:
            raise _unknown(consent_id)

    async def check(self, consent: str) -> None:
        """Check that a voice's consent is in words, or the id of a stored one. Raises InvalidFieldError."""
        if not consent.startswith(ID_PREFIX):
            return
        try:
            await self._stored(consent)
        except UnknownVoiceError as error:
            message = (
                f"'consent' must be the id of a stored consent, or a statement; given {consent[:_SHOWN_CHARACTERS]!r}"
            )
            raise InvalidFieldError(message, param="consent", code="consent_not_found") from error

    async def _stored(self, consent_id: str) -> StoredVoice:
        found = await self._repository.on_disk(lambda disk: disk.get(consent_id)) if is_consent_id(consent_id) else None
        if found is None:
            raise _unknown(consent_id)
        return found

    async def _put(self, consent: StoredVoice, created_at: int) -> VoiceMetadata:
        metadata = consent.metadata.model_copy(update={"created_at": created_at})
        await self._repository.on_disk(lambda disk: disk.put(StoredVoice(metadata, consent.payload)))
        return metadata


def _unknown(consent_id: str) -> UnknownVoiceError:
    message = f"no consent {consent_id[:_SHOWN_CHARACTERS]!r} is stored here (GET /v1/audio/voice_consents lists them)"
    return UnknownVoiceError(message, param="consent_id", code="consent_not_found")
