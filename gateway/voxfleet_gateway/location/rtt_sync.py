"""Fetches what other gateways have learned of round trips: all of it at the start, what is new from then on.

Knows: GET /internal/rtt of port 9091. A gateway measures its own region's clients only, so other regions' figures come
from their gateways; a restarted one gets its own back from a sister.
Does not know: how figures are merged (decisions/rtt/exchange.py), how the other gateways are found.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import structlog
from pydantic import ValidationError

from voxfleet_gateway.decisions.rtt.exchange import ExchangedCells
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.tokens import BEARER

RTT_PATH = "/internal/rtt"
SYNC_SECONDS = 60.0
START_SECONDS = 2.0  # until the other gateways are known; and between attempts while none has answered
FETCH_SECONDS = 5.0
MAX_BYTES = 4 * 2**20
OVERLAP = 2  # intervals that are asked for: a figure that changed while a fetch failed is fetched by the next

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RttSync:
    """The loop."""

    session: aiohttp.ClientSession
    store: RttStore
    peers: Callable[[], Sequence[str]]  # URLs of RTT_PATH
    token: str
    seen: set[str] = field(default_factory=set)  # peers that have sent everything once

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            await asyncio.sleep(SYNC_SECONDS if self.seen else START_SECONDS)
            await self.fetch_all()

    async def fetch_all(self) -> None:
        """Fetch once from every peer."""
        peers = self.peers()
        self.seen &= {*peers}
        for peer in peers:
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    taken = await self._fetch(peer)
            except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
                log.debug("rtt_not_fetched", reason=type(error).__name__)
                continue
            if peer not in self.seen:
                log.info("rtt_fetched", figures=taken)
            self.seen.add(peer)

    async def _fetch(self, peer: str) -> int:
        max_age_seconds = OVERLAP * SYNC_SECONDS if peer in self.seen else math.inf
        url = peer if math.isinf(max_age_seconds) else f"{peer}?newer_than_seconds={max_age_seconds:g}"
        async with self.session.get(url, headers={"Authorization": BEARER + self.token}) as response:
            response.raise_for_status()
            body = await read_bounded(response, MAX_BYTES)
        # A whole export takes tens of milliseconds to check: not on the loop.
        received = await asyncio.to_thread(ExchangedCells.model_validate_json, body)
        return self.store.merge(received)


async def read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body. Raises ClientPayloadError beyond the limit, whatever length was declared."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise aiohttp.ClientPayloadError(f"more than {max_bytes} bytes")
    return body
