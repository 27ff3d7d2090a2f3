"""Voices on disk: a folder with one file each.

Knows: how to write so that a torn file never shows (a locked temporary file, fsync, rename), and bounds on how many
voices and bytes there may be. Every file is opened inside the folder, by a name made of a checked id, never through a
link.
Does not know: what makes a voice, or who asks. All of it blocks: call it from a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxfleet_inference.voice_names import is_voice_id
from voxfleet_inference.voices.voice_file import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    StoredVoice,
    VoiceFacts,
    VoiceFileError,
    facts_of,
    from_file,
    to_file,
)

_SUFFIX: Final = ".voice"
_TEMPORARY: Final = ".writing-"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_A_VOICE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class VoiceStoreError(Exception):
    """The folder cannot be used now; says why."""


class VoiceStoreFullError(VoiceStoreError):
    """There is no room for another voice."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much may be kept."""

    max_voices: int
    max_bytes: int


class VoiceStore:
    """The voices of one folder; several servers may share it."""

    def __init__(self, folder: Path, limits: StoreLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._writing = threading.Lock()

    def sweep(self) -> int:
        """Make the folder, and remove what a server left half written when it died; returns how many files.

        Raises:
            VoiceStoreError: the folder cannot be made or read.
        """
        with _told(), contextlib.suppress(FileExistsError):
            self._folder.mkdir(parents=True, mode=0o700)
        with self._opened() as folder:
            left = [name for name in _names(folder) if name.startswith(_TEMPORARY)]
            return sum(_remove_unless_locked(folder, name) for name in left)

    def put(self, voice: StoredVoice) -> None:
        """Keep a voice; one with the same id is replaced.

        Raises:
            VoiceStoreFullError: no room, by the limits or on the disk; nothing is left behind.
            VoiceStoreError: it cannot be written.
        """
        data = to_file(voice)
        with self._writing, self._opened() as folder:
            self._check_room(folder, voice.facts.id, len(data))
            _write(folder, voice.facts.id + _SUFFIX, data)

    def get(self, voice_id: str) -> StoredVoice | None:
        """A voice, whole and unchanged; None when there is none.

        Raises:
            VoiceFileError: its file has been damaged.
            VoiceStoreError: it cannot be read.
        """
        with self._opened() as folder:
            data = _read(folder, voice_id, MAX_FILE_BYTES + 1)
        return None if data is None else from_file(data, voice_id)

    def facts(self, voice_id: str) -> VoiceFacts | None:
        """What there is to know about a voice without reading its sound."""
        with self._opened() as folder:
            header = _read(folder, voice_id, MAX_HEADER_BYTES + 1)
        return None if header is None else facts_of(header)

    def all_facts(self) -> tuple[VoiceFacts, ...]:
        """Every voice, oldest first; damaged files are passed over."""
        with self._opened() as folder:
            headers = [_read(folder, voice_id, MAX_HEADER_BYTES + 1) for voice_id in _ids(folder)]
        found: list[VoiceFacts] = []
        for header in headers:
            with contextlib.suppress(VoiceFileError):
                found += [facts_of(header)] if header is not None else []
        return tuple(sorted(found, key=lambda facts: (facts.created_at, facts.id)))

    def delete(self, voice_id: str) -> bool:
        """Remove a voice; whether there was one."""
        if not is_voice_id(voice_id):
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
        with _told():
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield folder
            finally:
                os.close(folder)

    def _check_room(self, folder: int, voice_id: str, size: int) -> None:
        others = [each for each in _ids(folder) if each != voice_id]
        if len(others) >= self._limits.max_voices:
            raise VoiceStoreFullError(f"{len(others)} voices are kept, {self._limits.max_voices} may be (--max-voices)")
        held = sum(_size(folder, each) for each in others)
        if held + size > self._limits.max_bytes:
            raise VoiceStoreFullError(
                f"{held} bytes of voices are kept and this one has {size}; {self._limits.max_bytes} may be kept"
                " (--max-voices-bytes)"
            )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Trouble with the disk, in words that name no path."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise VoiceStoreFullError("the disk of --voices-dir is full") from error
        raise VoiceStoreError(f"--voices-dir cannot be used: {error.strerror}") from error


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _ids(folder: int) -> Iterator[str]:
    for name in _names(folder):
        voice_id = name.removesuffix(_SUFFIX)
        if name.endswith(_SUFFIX) and is_voice_id(voice_id):
            yield voice_id


def _size(folder: int, voice_id: str) -> int:
    try:
        return os.stat(voice_id + _SUFFIX, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:  # deleted since it was listed
        return 0


def _read(folder: int, voice_id: str, max_bytes: int) -> bytes | None:
    """The beginning of a voice's file; neither links, nor pipes, nor anything but a plain file is read."""
    if not is_voice_id(voice_id):
        return None
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
    temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode=0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # tells a sweep that somebody is still writing
            opened.write(data)
            opened.flush()
            os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _remove_unless_locked(folder: int, name: str) -> bool:
    with contextlib.suppress(OSError):  # gone already, no plain file, or locked by its writer
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
            return True
        finally:
            os.close(descriptor)
    return False
