"""The API keys of a server without a gateway: a file of names and SHA-256 hashes, read again when it changes.

Knows: the file's form. It has hashes only, so reading the file reveals no key; a line in another form may be a key in
plain text, so its error names the line and the hash command and never quotes it.
Does not know: HTTP, or what a key allows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

_LINE: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127})\s+(?:sha256:)?(?P<digest>[0-9a-fA-F]{64})")
_LARGEST_FILE_BYTES: Final = 4 * 2**20  # some 50,000 keys
_logger: Final = structlog.get_logger("voxfleet_inference")


class ApiKeysError(Exception):
    """The file is not valid; the message names the line and its form."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's hash, and the name of its tenant."""

    name: str
    sha256: str


def parse_api_keys(text: str, source: str) -> tuple[ApiKey, ...]:
    """Parse `name sha256` per line; `#` begins a comment. While a key is replaced, a name has two.

    Raises:
        ApiKeysError: a line has another form.
    """
    lines = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    return tuple(_parsed(line, f"{source}, line {number}") for number, line in lines if line)


def _parsed(line: str, where: str) -> ApiKey:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ApiKeysError(
            f'{where}: must be a name, a space and the key\'s SHA-256 in hex (printf %s "$KEY" | sha256sum)'
        )
    return ApiKey(found["name"], found["digest"].lower())


def _digest(presented: str) -> str:
    return hashlib.sha256(presented.encode()).hexdigest()


class ApiKeys:
    """The valid keys."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ApiKeysError: it cannot be read, or is not valid.
        """
        self._path = path
        self._version = self._version_now()
        self._keys = self._read()

    def name_of(self, presented: str) -> str | None:
        """Return a key's name; None for an unknown key. Compares all keys in constant time: timing reveals nothing."""
        self._refresh()
        digest = _digest(presented)
        matching = [key.name for key in self._keys if hmac.compare_digest(key.sha256, digest)]
        return matching[0] if matching else None

    def validity(self, presented: str) -> Callable[[], bool]:
        """Return what says whether a key is valid at the time of the call; it keeps the key's hash alone."""
        key = ApiKey(self.name_of(presented) or "", _digest(presented))
        return lambda: self._is_valid(key)

    def _is_valid(self, key: ApiKey) -> bool:
        self._refresh()
        return key in self._keys

    def _refresh(self) -> None:
        """Read a changed file; a file that is not valid leaves the keys as they are."""
        version = self._version_now()
        if version == self._version:
            return
        self._version = version  # also when reading fails: one log line per change
        try:
            self._keys = self._read()
            _logger.info("api_keys_reloaded", keys=len(self._keys))
        except ApiKeysError as error:
            _logger.warning("api_keys_not_reloaded", error=str(error))

    def _version_now(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        # With the inode: editors and Kubernetes replace a file, perhaps by one of the same size and time.
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def _read(self) -> tuple[ApiKey, ...]:
        try:
            with self._path.open(encoding="utf-8") as file:
                text = file.read(_LARGEST_FILE_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ApiKeysError(f"--api-keys-file {self._path} cannot be read: {reason}") from error
        return parse_api_keys(text, f"--api-keys-file {self._path}")
