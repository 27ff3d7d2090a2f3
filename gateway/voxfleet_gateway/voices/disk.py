"""The folder of stored voices: one file each, and one for each deletion that other gateways must learn of.

Knows: whole files only (a temporary file, fsync, rename), names made of a checked id and a hash of the tenant, what a
full disk is. Does not know: which of two versions holds, limits. All of it blocks: call it from a thread.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from voxfleet_gateway.errors import VoiceFileError, VoicesFullError, VoicesUnavailableError
from voxfleet_gateway.voices.file_format import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    StoredVoice,
    VoiceHeader,
    VoiceKey,
    parse,
    parse_header,
    serialize,
)

VOICE, DELETED, TEMPORARY = ".voice", ".deleted", ".writing-"
PRESENCE = ".presence"  # since when no deletion was missed; its own time: when a gateway was there last
ABANDONED_SECONDS = 3600.0  # a temporary file of a gateway that died; a write takes seconds
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class VoiceFolder:
    """The files; several gateways may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}  # inode and time of each file, when its header was read

    def prepare(self) -> None:
        """Create the folder, and remove what gateways left half written when they died."""
        with _translated():
            self._folder.mkdir(parents=True, mode=0o700, exist_ok=True)  # recordings of voices are personal data
            for path in self._folder.glob(f"{TEMPORARY}*"):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                        path.unlink()

    def changed_at(self) -> int:
        """Return a number that differs after any file was added, replaced or removed."""
        with _translated():
            return self._folder.stat().st_mtime_ns

    def changed_headers(self) -> list[VoiceHeader]:
        """Return the headers of files that were added or replaced since the last call; damaged ones are skipped."""
        found: list[VoiceHeader] = []
        seen: dict[str, tuple[int, int]] = {}
        with _translated(), os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name
                if not name.endswith((VOICE, DELETED)) or name.startswith(TEMPORARY):
                    continue
                with contextlib.suppress(VoiceFileError, FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    seen[name] = status.st_ino, status.st_mtime_ns
                    if self._seen.get(name) != seen[name]:
                        found.append(self._header(name))
        self._seen = seen
        return found

    def _header(self, name: str) -> VoiceHeader:
        with (self._folder / name).open("rb") as opened:
            return parse_header(opened.read(MAX_HEADER_BYTES + 1))

    def read(self, key: VoiceKey) -> bytes | None:
        """Return a voice's file, its hash checked; None when there is none. Raises VoiceFileError when damaged."""
        with _translated():
            try:
                with (self._folder / _name(key, VOICE)).open("rb") as opened:
                    data = opened.read(MAX_FILE_BYTES + 1)
            except FileNotFoundError:
                return None
        parse(data, key)
        return data

    def write(self, voice: StoredVoice) -> None:
        """Store a voice, whole or not at all. Raises VoicesFullError, VoicesUnavailableError."""
        key = voice.header.key
        self._write(_name(key, VOICE), serialize(voice))
        with _translated():
            (self._folder / _name(key, DELETED)).unlink(missing_ok=True)

    def delete(self, header: VoiceHeader) -> None:
        """Replace a voice by the record of its deletion."""
        # In this order: a crash in between leaves both, of which the deletion is newer.
        self._write(_name(header.key, DELETED), serialize(StoredVoice(header, b"")))
        with _translated():
            (self._folder / _name(header.key, VOICE)).unlink(missing_ok=True)

    def forget(self, header: VoiceHeader) -> None:
        """Remove a voice, or the record of its deletion, without a record."""
        with _translated():
            (self._folder / _name(header.key, DELETED if header.is_deleted else VOICE)).unlink(missing_ok=True)

    def presence(self) -> tuple[int, int] | None:
        """Return since when no deletion was missed and when a gateway was there last; None for a new folder."""
        path = self._folder / PRESENCE
        with _translated():
            try:
                return int(path.read_text()), path.stat().st_mtime_ns // 1000
            except (FileNotFoundError, ValueError):
                return None

    def record_presence(self, since: int) -> None:
        """Record that a gateway is there now."""
        self._write(PRESENCE, str(since).encode())

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        with _translated():
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode=0o600)
                with os.fdopen(descriptor, "wb") as opened:
                    opened.write(data)
                    opened.flush()
                    os.fsync(descriptor)
                temporary.rename(self._folder / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)  # makes the rename itself durable
            finally:
                os.close(folder)


def _name(key: VoiceKey, suffix: str) -> str:
    tenant, voice = key
    return f"{hashlib.sha256(tenant.encode()).hexdigest()[:16]}-{voice}{suffix}"


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise errors of the disk in messages that name no path, since clients see them."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise VoicesFullError("the disk of --voices-dir is full") from error
        raise VoicesUnavailableError(f"--voices-dir cannot be used: {error.strerror}") from error
