"""Stored voices and consents on disk: the folder of `--voices-dir` with one file each.

Knows: atomic writes (a locked temporary file, fsync, rename), and limits on the number of each and on the bytes of
both. Each file is opened relative to the folder, by a name made of a checked id, never through a link.
Does not know: what makes a voice. All of it blocks: call it from a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxfleet_inference.voice_names import is_consent_id, is_stored_id, is_voice_id
from voxfleet_inference.voices.file_format import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    StoredVoice,
    VoiceFileError,
    VoiceMetadata,
    parse_metadata,
    parse_voice,
    serialize_voice,
)

_SUFFIX: Final = ".voice"
_TEMPORARY: Final = ".writing-"  # prefix of files that are not renamed yet
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Absent, a link, a folder, a pipe: as if there were no voice with that id.
_NOT_A_VOICE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class DiskStoreError(Exception):
    """The folder cannot be used now; the message names no path, since clients see it."""


class DiskStoreFullError(DiskStoreError):
    """A limit is reached, or the disk is full."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits of one folder."""

    max_voices: int  # and as many consents
    max_bytes: int


class DiskVoiceStore:
    """The voices in one folder; several servers may share it."""

    def __init__(self, folder: Path, limits: StoreLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._writing = threading.Lock()  # from the check of the limits to the end of the write

    def sweep(self) -> int:
        """Create the folder and remove files that a server left half written when it died; return how many.

        Raises:
            DiskStoreError: the folder cannot be created or read.
        """
        with _translate_errors(), contextlib.suppress(FileExistsError):
            self._folder.mkdir(parents=True, mode=0o700)  # recordings of voices are personal data
        with self._opened() as folder:
            names = [name for name in _names(folder) if name.startswith(_TEMPORARY)]
            return sum(_remove_unless_locked(folder, name) for name in names)

    def put(self, voice: StoredVoice) -> None:
        """Write a voice; one with the same id is replaced.

        Raises:
            DiskStoreFullError: a limit is reached, or the disk is full; no partial file remains.
            DiskStoreError: it cannot be written.
        """
        data = serialize_voice(voice)
        with self._writing, self._opened() as folder:
            self._check_limits(folder, voice.metadata.id, len(data))
            _write(folder, voice.metadata.id + _SUFFIX, data)

    def get(self, voice_id: str) -> StoredVoice | None:
        """Return a voice, its hash verified; None if there is none with that id.

        Raises:
            VoiceFileError: its file is damaged.
            DiskStoreError: it cannot be read.
        """
        with self._opened() as folder:
            data = _read(folder, voice_id, MAX_FILE_BYTES + 1)
        return None if data is None else parse_voice(data, voice_id)

    def metadata(self, voice_id: str) -> VoiceMetadata | None:
        """Return a voice's metadata without reading its payload; None if there is none with that id."""
        with self._opened() as folder:
            header = _read(folder, voice_id, MAX_HEADER_BYTES + 1)
        return None if header is None else parse_metadata(header)

    def all_metadata(self, is_listed: Callable[[str], bool] = is_voice_id) -> tuple[VoiceMetadata, ...]:
        """Return the metadata of every voice whose id is listed, oldest first; damaged files are skipped."""
        with self._opened() as folder:
            headers = [
                _read(folder, voice_id, MAX_HEADER_BYTES + 1) for voice_id in _ids(folder) if is_listed(voice_id)
            ]
        found: list[VoiceMetadata] = []
        for header in headers:
            with contextlib.suppress(VoiceFileError):
                found += [parse_metadata(header)] if header is not None else []
        return tuple(sorted(found, key=lambda metadata: (metadata.created_at, metadata.id)))

    def changed_at_ns(self) -> int:
        """Return when a voice was last written or deleted, on the folder's own clock."""
        with self._opened() as folder:
            return os.fstat(folder).st_mtime_ns

    def delete(self, voice_id: str) -> bool:
        """Delete a voice; return whether it existed."""
        if not is_stored_id(voice_id):
            return False
        with self._opened() as folder:
            try:
                os.unlink(voice_id + _SUFFIX, dir_fd=folder)
            except FileNotFoundError:
                return False
            os.fsync(folder)
        return True

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        with _translate_errors():
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield folder
            finally:
                os.close(folder)

    def _check_limits(self, folder: int, voice_id: str, size: int) -> None:
        others = [each for each in _ids(folder) if each != voice_id]
        is_alike, kind = (is_consent_id, "consents") if is_consent_id(voice_id) else (is_voice_id, "voices")
        count = sum(is_alike(each) for each in others)
        if count >= self._limits.max_voices:
            raise DiskStoreFullError(
                f"{count} {kind} are stored; the limit is {self._limits.max_voices} (--max-voices)"
            )
        stored_bytes = sum(_size(folder, each) for each in others)
        if stored_bytes + size > self._limits.max_bytes:
            raise DiskStoreFullError(
                f"voices of {stored_bytes} bytes are stored and this one has {size}; the limit is"
                f" {self._limits.max_bytes} (--max-voices-bytes)"
            )


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise errors of the disk as DiskStoreError, in messages that name no path."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskStoreFullError("the disk of --voices-dir is full") from error
        raise DiskStoreError(f"--voices-dir cannot be used: {error.strerror}") from error


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _ids(folder: int) -> Iterator[str]:
    for name in _names(folder):
        voice_id = name.removesuffix(_SUFFIX)
        if name.endswith(_SUFFIX) and is_stored_id(voice_id):
            yield voice_id


def _size(folder: int, voice_id: str) -> int:
    try:
        return os.stat(voice_id + _SUFFIX, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:  # deleted since it was listed
        return 0


def _read(folder: int, voice_id: str, max_bytes: int) -> bytes | None:
    """Return up to `max_bytes` of a voice's file; None if there is no regular file with that id."""
    if not is_stored_id(voice_id):
        return None
    # O_NONBLOCK: opening a pipe would otherwise wait for a writer for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(voice_id + _SUFFIX, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in _NOT_A_VOICE:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(max_bytes)


def _write(folder: int, name: str, data: bytes) -> None:
    # A random name: servers that share the folder may write the same voice at once; the last rename wins.
    temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode=0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # `sweep` of another server leaves a locked file alone
            opened.write(data)
            opened.flush()
            os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)  # makes the rename itself durable


def _remove_unless_locked(folder: int, name: str) -> bool:
    with contextlib.suppress(OSError):  # gone already, no regular file, or locked by its writer
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
            return True
        finally:
            os.close(descriptor)
    return False
