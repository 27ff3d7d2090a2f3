"""Fetches stored voices from another server by id, and verifies their hash.

Knows: `GET /internal/voices/{id}` with a bearer token, limits on bytes and seconds, and ids that were missing a moment
ago. Redirects are not followed: the token must not go to another host.
Does not know: what is done with a voice.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from voxfleet_inference.voices.file_format import MAX_FILE_BYTES, StoredVoice, VoiceFileError, parse_voice

FETCH_SECONDS: Final = 10.0
MISSING_SECONDS: Final = 5.0  # short, so that a voice made just now is usable at once; long enough against a flood
_MAX_MISSING: Final = 1024
_SCHEMES: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class RemoteSourceError(Exception):
    """The source failed or sent something else than the voice; the message says which."""


class RemoteVoiceSource:
    """The server at `--voice-source`, which stores the voices that are not in this server's folder."""

    def __init__(self, url: str, token_file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._address = urlsplit(url)
        self._token_file = token_file
        self._missing: OrderedDict[str, float] = (
            OrderedDict()
        )  # token and id -> monotonic time until which it is not fetched

    async def fetch(self, voice_id: str, token: str = "") -> StoredVoice | None:
        """Return the voice, its hash verified; None if the source has none with that id.

        Raises:
            RemoteSourceError: the source failed, or what it sent is not the voice with that id.
        """
        # A token gives access to the voices of one tenant: what one lacks, another may have.
        missing_key = f"{token} {voice_id}"
        if self._missing.get(missing_key, 0.0) > self._clock():
            return None
        try:
            # The thread outlives this timeout; its own deadlines (socket, body) end it soon after.
            async with asyncio.timeout(FETCH_SECONDS):
                data = await asyncio.to_thread(self._get, voice_id, token)
        except TimeoutError as error:
            raise RemoteSourceError(f"no complete response within {FETCH_SECONDS:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise RemoteSourceError(str(error) or type(error).__name__) from error
        if data is None:
            self._add_missing(missing_key)
            return None
        try:
            return parse_voice(data, voice_id)
        except VoiceFileError as error:
            raise RemoteSourceError(str(error)) from error

    def _get(self, voice_id: str, token: str) -> bytes | None:
        """Fetch the file, blocking; the socket's own timeout ends the thread if the caller stopped waiting."""
        connection = _SCHEMES[self._address.scheme](self._address.netloc, timeout=FETCH_SECONDS)
        try:
            path = f"{self._address.path.rstrip('/')}/internal/voices/{voice_id}"
            connection.request("GET", path, headers=self._headers(token))
            response = connection.getresponse()
            if response.status == http.client.NOT_FOUND:
                return None
            if response.status != http.client.OK:
                raise RemoteSourceError(f"status {response.status}")
            data = _bounded_body(response)
        finally:
            connection.close()
        return data

    def _headers(self, token: str) -> dict[str, str]:
        if token:
            return {"Authorization": f"Bearer {token}"}
        if self._token_file is None:
            return {}
        # Read for each request: Kubernetes rotates secrets in place.
        token = self._token_file.read_text(encoding="utf-8").strip()
        return {"Authorization": f"Bearer {token}"}

    def _add_missing(self, key: str) -> None:
        self._missing[key] = self._clock() + MISSING_SECONDS
        self._missing.move_to_end(key)
        if len(self._missing) > _MAX_MISSING:
            self._missing.popitem(last=False)


def _bounded_body(response: http.client.HTTPResponse) -> bytes:
    """Read the body within limits on bytes and time; a socket's timeout alone lets a slow source send for ever."""
    deadline = time.monotonic() + FETCH_SECONDS
    data = bytearray()
    while chunk := response.read1(2**16):
        data += chunk
        if len(data) > MAX_FILE_BYTES:
            raise RemoteSourceError(f"the response has more than {MAX_FILE_BYTES} bytes, the limit of a voice")
        if time.monotonic() > deadline:
            raise RemoteSourceError(f"no complete response within {FETCH_SECONDS:g} s")
    return bytes(data)
