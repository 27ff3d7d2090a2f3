"""Receives bodies with voices: few at a time, each within a time, and only while the engine is ready.

Knows: the limits, and which API error each failure of the engine becomes.
Does not know: what a body holds, or what is made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from fastapi import Request

from voxfleet_inference.engine.errors import EngineError, VoiceBusyError
from voxfleet_inference.errors import InternalError, RequestTimeoutError, UnavailableError
from voxfleet_inference.voices.repository import RETRY_AFTER_SECONDS

if TYPE_CHECKING:
    from voxfleet_inference.server.service import SpeechService

UPLOAD_SECONDS: Final = 60.0  # for a whole body: 30 s of uncompressed audio at 350 kbit/s
MAX_UPLOADS: Final = 4  # open at a time: each is in memory while it is decoded and encoded
ReadBody = Callable[[Request], Awaitable[bytes]]
_Result = TypeVar("_Result")


class Uploads:
    """The uploads that are open, at most `MAX_UPLOADS` at a time."""

    def __init__(self, service: SpeechService, read_body: ReadBody) -> None:
        self._service, self._read_body = service, read_body
        self._open = 0

    async def use(self, request: Request, use: Callable[[bytes], Awaitable[_Result]]) -> _Result:
        """Read the request's body and return what `use` makes of it.

        Raises:
            UnavailableError: the engine is not ready, or too many uploads are open.
            RequestTimeoutError: the body came too slowly.
            InternalError: the engine failed.
            ApiError: whatever `use` raises.
        """
        # Before the body is read, so that an upload which must fail is not received.
        self._service.supervisor.check_ready()
        if self._open >= MAX_UPLOADS:
            raise _busy(f"{self._open} voices are being made; the limit is {MAX_UPLOADS}")
        self._open += 1
        try:
            return await use(await self._read(request))
        except VoiceBusyError as error:
            raise _busy(str(error)) from error
        except EngineError as error:
            raise InternalError(f"the engine could not make this voice: {error}", code="engine_error") from error
        finally:
            self._open -= 1

    async def _read(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                return await self._read_body(request)
        except TimeoutError as error:
            message = f"the body did not arrive within {UPLOAD_SECONDS:g} s"
            raise RequestTimeoutError(message, code="upload_too_slow") from error


def _busy(message: str) -> UnavailableError:
    return UnavailableError(message, code="voices_busy", retry_after_seconds=RETRY_AFTER_SECONDS)
