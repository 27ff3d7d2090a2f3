"""What pods do for the gateway's voices: decide whether a recording can be used, and draw a voice by a seed.

Knows: the requests of a pod's port 9091, their token and bounds, what each status means.
Does not know: which pod is asked, what is stored.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.errors import (
    RequestRefusedError,
    UpstreamFailedError,
    UpstreamFailure,
    VoiceFileError,
    VoicesNotServedError,
)
from voxfleet_gateway.peers.client import RegionSession
from voxfleet_gateway.refusals import bad_request
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.tokens import BEARER, pod_token
from voxfleet_gateway.voices.check_result import CheckResult, parse_result
from voxfleet_gateway.voices.file_format import MAX_FILE_BYTES, StoredVoice, parse, parse_header, serialize

CHECK_PATH = "/internal/voices/check"
DESIGN_PATH = "/internal/voices/design"
CONNECT_SECONDS = 2.0
CHECK_SECONDS = 20.0  # a GPU takes 0.1 s for 30 s of audio, two CPU cores some seconds
DESIGN_SECONDS = 120.0  # up to three attempts at 30 s of audio, on a CPU
PIECE_BYTES = 64 * 2**10
MAX_RESPONSE_BYTES = 64 * 2**10  # of anything but a voice's file
NOT_OFFERED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})  # by servers of an earlier version


Session = aiohttp.ClientSession | RegionSession


@dataclass(frozen=True, slots=True)
class PodVoices:
    """Shared by all requests of this gateway."""

    session: aiohttp.ClientSession
    internal_key: str

    async def check(self, key: RegionKey, pod: PodAddress, voice: StoredVoice) -> CheckResult:
        """Return whether the pod can use the recording. Raises UpstreamFailedError, VoicesNotServedError."""
        # Without what the pod need not know: the tenant and the speaker's consent.
        header = voice.header.model_copy(update={"tenant": "", "consent": "given"})
        sent = _Sent(self.session, pod.internal_url(CHECK_PATH), self._token(key))
        status, answer = await sent.post((serialize(StoredVoice(header, b"")), voice.payload), CHECK_SECONDS)
        if status != HTTPStatus.OK:
            raise UpstreamFailedError(UpstreamFailure.INVALID, f"status {status}")
        try:
            return parse_result(answer)
        except ValueError as error:
            raise UpstreamFailedError(UpstreamFailure.INVALID, f"no result of a check: {error}") from error

    async def design(self, key: RegionKey, pod: PodAddress, fields: Mapping[str, Any]) -> StoredVoice:
        """Return the voice that the pod has drawn.

        Raises:
            RequestRefusedError: the pod's own 400, as of a text that takes too long.
            UpstreamFailedError: it failed, or what it sent is no designed voice.
            VoicesNotServedError: it is of an earlier version.
        """
        sent = _Sent(self.session, pod.internal_url(DESIGN_PATH), self._token(key))
        return await _drawn(sent, fields, DESIGN_SECONDS)

    async def design_at(
        self,
        session: Session,
        url: str,
        identity: Mapping[str, str],
        fields: Mapping[str, Any],
        hold_seconds: float,
    ) -> StoredVoice:
        """Return the voice that a pod behind another region's gateway has drawn. Raises as `design`."""
        return await _drawn(_Sent(session, url, identity), fields, hold_seconds + DESIGN_SECONDS)

    def _token(self, key: RegionKey) -> dict[str, str]:
        return {"Authorization": BEARER + pod_token(self.internal_key, key.namespace, key.name)}


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request before its body."""

    session: Session
    url: str
    headers: Mapping[str, str]

    async def post(self, parts: Sequence[bytes], seconds: float) -> tuple[int, bytes]:
        """Return status and body of a response of 200 or 400; raise for every other."""
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        length = str(sum(map(len, parts)))
        headers = {"Content-Type": "application/json", "Content-Length": length, **self.headers}
        try:
            async with self.session.post(
                self.url, data=_pieces(parts), headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status, await _bounded(response)
        except aiohttp.ClientConnectorError as error:
            raise UpstreamFailedError(UpstreamFailure.CONNECT, repr(error)) from error
        except TimeoutError as error:
            raise UpstreamFailedError(UpstreamFailure.TIMEOUT, f"no response within {seconds:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailedError(UpstreamFailure.RESET, repr(error)) from error


async def _drawn(sent: _Sent, fields: Mapping[str, Any], seconds: float) -> StoredVoice:
    status, answer = await sent.post((json.dumps(fields).encode(),), seconds)
    if status != HTTPStatus.OK:
        raise RequestRefusedError(bad_request(*_error(answer)))
    try:
        header = parse_header(answer)
        return parse(answer, header.key)
    except VoiceFileError as error:
        raise UpstreamFailedError(UpstreamFailure.INVALID, str(error)) from error


async def _pieces(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Yield the body in pieces, so that no second copy of a recording is made."""
    for part in parts:
        for start in range(0, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.status in NOT_OFFERED:
        raise VoicesNotServedError(f"status {response.status}")
    if response.status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in response.headers:
        raise UpstreamFailedError(UpstreamFailure.FULL, "it makes as many voices as it may, or drains")
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UpstreamFailedError(UpstreamFailure.ERROR_5XX, f"status {response.status}")
    if response.status not in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}:
        raise UpstreamFailedError(UpstreamFailure.INVALID, f"status {response.status}")
    limit_bytes = MAX_FILE_BYTES if response.status == HTTPStatus.OK else MAX_RESPONSE_BYTES
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > limit_bytes:
            raise UpstreamFailedError(UpstreamFailure.INVALID, f"more than {limit_bytes} bytes")
    return bytes(body)


def _error(body: bytes) -> tuple[str, str | None, str]:
    """Return message, field and code of a pod's error in OpenAI's form; bounded, since its image may send anything."""
    try:
        error = json.loads(body)["error"]
        message, param, code = str(error["message"])[:500], error.get("param"), error.get("code")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return "The server refused the voice without a reason that can be read.", None, "invalid_value"
    return message, str(param)[:80] if param is not None else None, str(code or "invalid_value")[:80]
