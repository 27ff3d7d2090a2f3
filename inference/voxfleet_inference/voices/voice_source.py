"""Voices that another server keeps: fetched by id, once, and checked.

Knows: `GET /internal/voices/{id}` with a bearer token; bounds on bytes and seconds; that an id which was not there a
moment ago need not be asked for again at once. Redirects are not followed, because the token must not travel.
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

from voxfleet_inference.voices.voice_file import MAX_FILE_BYTES, StoredVoice, VoiceFileError, from_file

FETCH_SECONDS: Final = 10.0
MISSING_SECONDS: Final = 5.0
_MAX_REMEMBERED: Final = 1024
_SCHEMES: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class VoiceSourceError(Exception):
    """The source did not answer as it should; says how."""


class VoiceSource:
    """The server behind `--voice-source`."""

    def __init__(self, url: str, token_file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._address = urlsplit(url)
        self._token_file = token_file
        self._missing: OrderedDict[str, float] = OrderedDict()  # id -> monotonic time until which it is not asked for

    async def fetch(self, voice_id: str) -> StoredVoice | None:
        """The voice, its hash checked; None when the source has none of that id.

        Raises:
            VoiceSourceError: it could not be fetched, or is not what the id says.
        """
        if self._missing.get(voice_id, 0.0) > self._clock():
            return None
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                data = await asyncio.to_thread(self._get, voice_id)
        except TimeoutError as error:
            raise VoiceSourceError(f"it took longer than {FETCH_SECONDS:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise VoiceSourceError(str(error) or type(error).__name__) from error
        if data is None:
            self._remember_missing(voice_id)
            return None
        try:
            return from_file(data, voice_id)
        except VoiceFileError as error:
            raise VoiceSourceError(str(error)) from error

    def _get(self, voice_id: str) -> bytes | None:
        """In a thread, whose socket gives up by itself."""
        connection = _SCHEMES[self._address.scheme](self._address.netloc, timeout=FETCH_SECONDS)
        try:
            path = f"{self._address.path.rstrip('/')}/internal/voices/{voice_id}"
            connection.request("GET", path, headers=self._headers())
            response = connection.getresponse()
            if response.status == http.client.NOT_FOUND:
                return None
            if response.status != http.client.OK:
                raise VoiceSourceError(f"it answered {response.status}")
            data = _bounded_body(response)
        finally:
            connection.close()
        return data

    def _headers(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        token = self._token_file.read_text(encoding="utf-8").strip()  # read anew: secrets are rotated in place
        return {"Authorization": f"Bearer {token}"}

    def _remember_missing(self, voice_id: str) -> None:
        self._missing[voice_id] = self._clock() + MISSING_SECONDS
        self._missing.move_to_end(voice_id)
        if len(self._missing) > _MAX_REMEMBERED:
            self._missing.popitem(last=False)


def _bounded_body(response: http.client.HTTPResponse) -> bytes:
    """All of it, unless there is more than a voice can have or it takes too long, however slowly it drips."""
    deadline = time.monotonic() + FETCH_SECONDS
    data = bytearray()
    while chunk := response.read1(2**16):
        data += chunk
        if len(data) > MAX_FILE_BYTES:
            raise VoiceSourceError(f"it sent more than {MAX_FILE_BYTES} bytes")
        if time.monotonic() > deadline:
            raise VoiceSourceError(f"it took longer than {FETCH_SECONDS:g} s")
    return bytes(data)
