"""Where stored voices lie: in this server's folder, at another server, or nowhere.

Knows: `--voices-dir` and `--voice-source`, and what to answer when either of them is in trouble. Disks block, so every
call to one goes through a thread.
Does not know: latents, engines or names other than ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import structlog

from voxfleet_inference.errors import ApiError, NotOfferedError, StorageFullError, UnavailableError
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.voice_names import is_voice_id
from voxfleet_inference.voices.voice_file import StoredVoice, VoiceFacts, VoiceFileError
from voxfleet_inference.voices.voice_source import VoiceSource, VoiceSourceError
from voxfleet_inference.voices.voice_store import StoreLimits, VoiceStore, VoiceStoreError, VoiceStoreFullError

RETRY_AFTER_SECONDS: Final = 2
_Answer = TypeVar("_Answer")
_logger: Final = structlog.get_logger("voxfleet_inference")


class VoiceRepository:
    """The stored voices that this server can reach."""

    def __init__(self, settings: ServeSettings) -> None:
        limits = StoreLimits(settings.max_voices, settings.max_voices_bytes)
        self._store = VoiceStore(settings.voices_dir, limits) if settings.voices_dir is not None else None
        self._source = (
            VoiceSource(settings.voice_source, settings.voice_source_token_file) if settings.voice_source else None
        )

    async def sweep(self) -> None:
        """Remove what was left half written; trouble with the folder is told now, and to whoever needs it."""
        if self._store is None:
            return
        try:
            removed = await asyncio.to_thread(self._store.sweep)
        except VoiceStoreError as error:
            _logger.warning("voices cannot be kept", error=str(error))
        else:
            _logger.info("voices", removed_half_written=removed)

    def check_keeps(self) -> None:
        """Whether voices can be made here.

        Raises:
            NotOfferedError: they cannot.
        """
        self._own()

    async def find(self, voice_id: str) -> StoredVoice | None:
        """The voice with that id, here or at the source.

        Raises:
            UnavailableError: neither can tell now.
        """
        if not is_voice_id(voice_id):
            return None
        found = await self.kept(voice_id)
        if found is not None or self._source is None:
            return found
        try:
            return await self._source.fetch(voice_id)
        except VoiceSourceError as error:
            _logger.warning("voice source", voice=voice_id, error=str(error))
            raise UnavailableError(
                f"the voice {voice_id} could not be fetched from where voices are kept; the log says why",
                code="voice_source_unavailable",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error

    async def kept(self, voice_id: str) -> StoredVoice | None:
        """The voice with that id, if it lies here."""
        return await self._on_disk(lambda store: store.get(voice_id)) if self._store is not None else None

    async def facts(self, voice_id: str) -> VoiceFacts | None:
        """What there is to know about a voice."""
        here = await self._on_disk(lambda store: store.facts(voice_id)) if self._store is not None else None
        if here is not None or self._source is None:
            return here
        fetched = await self.find(voice_id)
        return fetched.facts if fetched is not None else None

    async def all_facts(self) -> tuple[VoiceFacts, ...]:
        """The voices that are kept here."""
        return await self._on_disk(lambda store: store.all_facts()) if self._store is not None else ()

    async def put(self, voice: StoredVoice) -> None:
        """Keep a voice.

        Raises:
            NotOfferedError: none are kept here.
            StorageFullError: there is no room.
            UnavailableError: the folder cannot be written.
        """
        self._own()
        await self._on_disk(lambda store: store.put(voice))

    async def delete(self, voice_id: str) -> bool:
        """Remove a voice; whether there was one."""
        self._own()
        return await self._on_disk(lambda store: store.delete(voice_id))

    def _own(self) -> VoiceStore:
        if self._store is not None:
            return self._store
        where = (
            "they belong to the server behind --voice-source: make them there"
            if self._source is not None
            else "start it with --voices-dir"
        )
        raise NotOfferedError(f"this server keeps no voices; {where}", code="voices_not_kept")

    async def _on_disk(self, ask: Callable[[VoiceStore], _Answer]) -> _Answer:
        try:
            return await asyncio.to_thread(ask, self._own())
        except (VoiceStoreError, VoiceFileError) as error:
            _raise_as_answer(error)


def _raise_as_answer(error: Exception) -> NoReturn:
    _logger.warning("voices", error=str(error))
    answer: ApiError
    if isinstance(error, VoiceStoreFullError):
        answer = StorageFullError(f"no room for the voice: {error}", code="voices_full")
    else:
        answer = UnavailableError(str(error), code="voices_unavailable", retry_after_seconds=RETRY_AFTER_SECONDS)
    raise answer from error
