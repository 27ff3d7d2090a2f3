"""The reason of a failed fetch is one of few words, and an endless body is not read."""

import errno
import ssl
from typing import Any, Self

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from voxfleet_gateway.errors import PeerReportError
from voxfleet_gateway.peers.client import REFUSED_ADDRESS, RegionSession
from voxfleet_gateway.peers.report import MAX_REPORT_BYTES
from voxfleet_gateway.peers.report_fetch import failure_reason, fetch_report

KEY = ConnectionKey("eu.example.net", 443, True, True, None, None, None)  # a NamedTuple of aiohttp


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PeerReportError("clock", "late"), "clock"),
        (ssl.SSLCertVerificationError("expired"), "certificate"),
        (aiohttp.ClientConnectorError(KEY, OSError(REFUSED_ADDRESS, "loopback")), "address"),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "refused")), "connect"),
        (TimeoutError(), "timeout"),
        (aiohttp.ServerDisconnectedError(), "reset"),
        (OSError(errno.ECONNRESET, "reset"), "reset"),
        (RuntimeError("a mistake"), "internal"),
    ],
)
def test_every_failure_has_a_reason(error: Exception, reason: str) -> None:
    assert failure_reason(error) == reason


class Response:
    """Never ends."""

    def __init__(self, status: int) -> None:
        self.status, self.content, self.sent_bytes, self.is_closed = status, self, 0, False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        return

    async def readany(self) -> bytes:
        self.sent_bytes += 65_536
        return b" " * 65_536

    def close(self) -> None:
        self.is_closed = True


class Session:
    def __init__(self, response: Response) -> None:
        self.response = response

    def get(self, _url: str, **_options: Any) -> Response:
        return self.response


class Tls:
    client = None


@pytest.mark.parametrize(("status", "reason", "limit"), [(200, "size", MAX_REPORT_BYTES + 65_536), (302, "status", 0)])
async def test_a_response_that_is_no_report_is_closed(status: int, reason: str, limit: int) -> None:
    response = Response(status)
    session = RegionSession(Session(response), Tls(), "eu")  # type: ignore[arg-type]
    with pytest.raises(Exception) as raised:  # noqa: PT011  # its reason is what counts
        await fetch_report(session, "https://eu.example.net/internal/region")
    assert failure_reason(raised.value) == reason
    assert response.is_closed
    assert response.sent_bytes <= limit
