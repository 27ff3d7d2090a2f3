"""What a store of weights offers: the list of a checkpoint's files, and the bytes of one from an offset on.

Knows which files make a checkpoint, and how each kind of digest is computed. Does not know any store's protocol
(hub.py, s3.py), nor where the bytes go (download.py).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, Protocol

CHECKPOINT_FILES: Final = ("*.json", "*.safetensors", "*.pth", "pytorch_model.bin", "tokenizer.model")
CONFIG_FILE: Final = "config.json"
_CHUNK_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that a store lists: sha256, md5, crc32, git-sha1, or md5-of-parts with its part size.

    The last one is the ETag of an object that was uploaded to S3 in parts: the MD5 of its parts' MD5s.
    """

    algorithm: str
    value: str
    part_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a checkpoint. `version`: identifies its bytes in the store (an ETag); empty where the listing does.

    `digest`: None where the store has none that can be computed here; then size and version are all that is checked.
    """

    name: str
    size: int
    digest: Digest | None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a checkpoint; `resolved`: the commit that a revision stood for, empty where there is none."""

    files: tuple[RemoteFile, ...]
    resolved: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class Store(Protocol):
    """Where weights are downloaded from. Every method raises FetchError, and nothing else for what the store does."""

    def list_files(self) -> Listing:
        """Return the checkpoint's files."""

    def open(self, listing: Listing, file: RemoteFile, offset: int, /) -> AbstractContextManager[Iterator[bytes]]:
        """Return the bytes of one file from an offset on."""


def is_checkpoint_file(name: str) -> bool:
    """Whether a file at the root of a repository or prefix is part of a checkpoint."""
    return "/" not in name and any(fnmatch(name, pattern) for pattern in CHECKPOINT_FILES)


def digest_of(path: Path, like: Digest, size: int) -> str:
    """Return the digest of a local file, by the algorithm of another one."""
    if like.algorithm == "crc32":
        return f"{_crc32(path):08x}"
    if like.algorithm == "md5-of-parts":
        return _md5_of_parts(path, like.part_bytes)
    state = hashlib.new(like.algorithm.removeprefix("git-"), usedforsecurity=False)
    if like.algorithm == "git-sha1":
        state.update(b"blob %d\0" % size)
    for chunk in _chunks(path):
        state.update(chunk)
    return state.hexdigest()


def _crc32(path: Path) -> int:
    value = 0
    for chunk in _chunks(path):
        value = zlib.crc32(chunk, value)
    return value


def _md5_of_parts(path: Path, part_bytes: int) -> str:
    parts = []
    with path.open("rb") as file:
        while part := file.read(part_bytes):
            parts.append(hashlib.md5(part, usedforsecurity=False).digest())
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
