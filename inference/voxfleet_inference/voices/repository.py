"""The stored voices that a server can reach: in its own folder, then at another server.

Knows: `--voices-dir` and `--voice-source`, and which API error each failure of either becomes. Every call that blocks
on a disk runs in a thread.
Does not know: latents, engines, or names other than ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import structlog

from voxfleet_inference.errors import ApiError, NotOfferedError, StorageFullError, UnavailableError
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.voice_names import is_voice_id
from voxfleet_inference.voices.disk_store import DiskStoreError, DiskStoreFullError, DiskVoiceStore, StoreLimits
from voxfleet_inference.voices.file_format import StoredVoice, VoiceFileError, VoiceMetadata
from voxfleet_inference.voices.name_index import NameIndex
from voxfleet_inference.voices.remote_source import RemoteSourceError, RemoteVoiceSource

RETRY_AFTER_SECONDS: Final = 2
_Result = TypeVar("_Result")
_logger: Final = structlog.get_logger("voxfleet_inference")


class VoiceRepository:
    """The stored voices that this server can reach."""

    def __init__(self, settings: ServeSettings) -> None:
        limits = StoreLimits(settings.max_voices, settings.max_voices_bytes)
        self._disk = DiskVoiceStore(settings.voices_dir, limits) if settings.voices_dir is not None else None
        self._index = NameIndex(self._disk) if self._disk is not None else None
        self._remote = (
            RemoteVoiceSource(settings.voice_source, settings.voice_source_token_file)
            if settings.voice_source
            else None
        )

    async def sweep(self) -> None:
        """Remove half-written files of a server that died; an unusable folder is logged, and fails requests later."""
        if self._disk is None:
            return
        try:
            removed = await asyncio.to_thread(self._disk.sweep)
        except DiskStoreError as error:
            _logger.warning("voices cannot be stored", error=str(error))
        else:
            _logger.info("voices", removed_half_written=removed)

    def check_writable(self) -> None:
        """Check that voices can be created here.

        Raises:
            NotOfferedError: this server has no folder for them.
        """
        self._own()

    async def find(self, voice_id: str, token: str = "") -> StoredVoice | None:
        """Return the voice with that id, from the folder or the source; None if neither has it.

        A `token` that came with the request replaces the one of `--voice-source-token-file`.

        Raises:
            UnavailableError: the folder or the source cannot be read now.
        """
        if not is_voice_id(voice_id):
            return None
        found = await self.find_local(voice_id)
        if found is not None or self._remote is None:
            return found
        try:
            return await self._remote.fetch(voice_id, token)
        except RemoteSourceError as error:
            # The log has the details: they may hold addresses and paths, which clients must not see.
            _logger.warning("voice source", voice=voice_id, error=str(error))
            raise UnavailableError(
                f"the voice {voice_id} could not be fetched from the server that stores it; the log has the reason",
                code="voice_source_unavailable",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error

    async def find_local(self, voice_id: str) -> StoredVoice | None:
        """Return the voice with that id from the folder alone; None if it is not there."""
        if self._disk is None or not is_voice_id(voice_id):
            return None
        return await self.on_disk(lambda disk: disk.get(voice_id))

    async def metadata(self, voice_id: str) -> VoiceMetadata | None:
        """Return the metadata of a voice from the folder or the source; None if neither has it."""
        if not is_voice_id(voice_id):
            return None
        local = await self.on_disk(lambda disk: disk.metadata(voice_id)) if self._disk is not None else None
        if local is not None or self._remote is None:
            return local
        fetched = await self.find(voice_id)  # the source sends whole files only
        return fetched.metadata if fetched is not None else None

    async def all_metadata(self) -> tuple[VoiceMetadata, ...]:
        """Return the metadata of all voices in the folder; those of the source cannot be listed."""
        return await self.on_disk(lambda disk: disk.all_metadata()) if self._disk is not None else ()

    async def ids_of(self, name: str) -> tuple[str, ...]:
        """Return the ids of the folder's voices with that name, oldest first; voices of the source have ids alone."""
        index = self._index
        return () if index is None else await self.on_disk(lambda _: index.ids_of(name))

    async def put(self, voice: StoredVoice) -> None:
        """Store a voice.

        Raises:
            NotOfferedError: this server has no folder for it.
            StorageFullError: a limit is reached, or the disk is full.
            UnavailableError: the folder cannot be written.
        """
        self._own()
        await self.on_disk(lambda disk: disk.put(voice))

    async def delete(self, voice_id: str) -> bool:
        """Delete a voice; return whether it existed."""
        self._own()
        if not is_voice_id(voice_id):
            return False
        return await self.on_disk(lambda disk: disk.delete(voice_id))

    def _own(self) -> DiskVoiceStore:
        if self._disk is not None:
            return self._disk
        advice = (
            "the server behind --voice-source stores them: create them there"
            if self._remote is not None
            else "start it with --voices-dir"
        )
        raise NotOfferedError(f"this server stores no voices; {advice}", code="voices_not_kept")

    async def on_disk(self, call: Callable[[DiskVoiceStore], _Result]) -> _Result:
        """Return what the call makes of the folder, in a thread.

        Raises:
            NotOfferedError: this server has no folder.
            StorageFullError: a limit is reached, or the disk is full.
            UnavailableError: the folder cannot be used.
        """
        try:
            return await asyncio.to_thread(call, self._own())
        except (DiskStoreError, VoiceFileError) as error:
            _raise_api_error(error)


def _raise_api_error(error: Exception) -> NoReturn:
    _logger.warning("voices", error=str(error))
    api_error: ApiError
    if isinstance(error, DiskStoreFullError):
        api_error = StorageFullError(f"the voice cannot be stored: {error}", code="voices_full")
    else:
        api_error = UnavailableError(str(error), code="voices_unavailable", retry_after_seconds=RETRY_AFTER_SECONDS)
    raise api_error from error
