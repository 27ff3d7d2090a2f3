"""Fetches one report of a peer, and names the reason when there is none.

Knows: which responses are reports, how much of one is read. Does not know: how often, what follows from a failure:
gateways (poller.py) and the DNS engine (dns/inputs/reports.py) fetch alike.
"""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp

from voxfleet_gateway.errors import PeerReportError
from voxfleet_gateway.peers.client import REFUSED_ADDRESS, RegionSession
from voxfleet_gateway.peers.report import MAX_REPORT_BYTES, RegionReport, parse_region_report


class _StatusError(Exception):
    """A response that is no report."""


async def fetch_report(
    session: RegionSession, url: str, clock: Callable[[], float] = lambda: 0.0
) -> tuple[RegionReport, float]:
    """Return the report, and when its first byte came. Raises whatever failure_reason knows."""
    async with session.get(url, headers={"Accept-Encoding": "identity"}, allow_redirects=False) as response:
        answered_seconds = clock()
        if response.status != 200:  # noqa: PLR2004
            response.close()
            raise _StatusError(f"status {response.status}")
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > MAX_REPORT_BYTES:  # whatever length was declared
                response.close()
                break
    return parse_region_report(bytes(body), session.region, datetime.now(UTC)), answered_seconds


def failure_reason(error: Exception) -> str:
    """Return the reason of a failed poll: one of few words, for the metric."""
    if isinstance(error, PeerReportError):
        return error.reason
    if isinstance(error, _StatusError):
        return "status"
    # A certificate that is expired, of another region, or of no known authority; also this process's own, to the peer.
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "certificate"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "address" if error.os_error.errno == REFUSED_ADDRESS else "connect"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "reset" if isinstance(error, aiohttp.ClientError | OSError) else "internal"
