"""Learned round trips for DNS: fetched from the gateways of the cluster, which measure them.

Knows: GET /internal/rtt of port 9091, its token; that every gateway of a headless Service is asked. A prefix's own
figure is not used: an answer is for a whole block of addresses.
Does not know: how round trips are learned and merged (decisions/rtt/), how gateways measure them.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import aiohttp
import structlog
from pydantic import ValidationError

from voxfleet_gateway.decisions.dns.demand_shares.client_groups import location_of
from voxfleet_gateway.decisions.dns.region_choice import PlannedRegion, rtts_by_distance
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.exchange import ExchangedCells, merge
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.tokens import BEARER, gateway_token

RTT_PATH = "/internal/rtt"
SYNC_SECONDS = 60.0
START_SECONDS = 2.0  # between attempts until a gateway has answered
FETCH_SECONDS = 5.0
MAX_GATEWAYS = 8  # asked at once; figures that one has are exchanged with the others anyway
MAX_BYTES = 4 * 2**20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RttView:
    """The round trips as they were learned at one time: what plans are made with."""

    model: RttModel
    now_seconds: float

    def __call__(self, facts: AddressFacts, regions: tuple[PlannedRegion, ...]) -> Sequence[float]:
        """Return the round trips between a network's clients and regions."""
        network = ClientNetwork("", facts.asn, facts.country, location_of(facts))
        known = [(region.name, rtt) for region, rtt in zip(regions, rtts_by_distance(facts, regions), strict=True)]
        return [estimate.seconds for estimate in self.model.estimates(network, known, self.now_seconds)]


@dataclass(slots=True)
class RttFetch:
    """The loop that fetches."""

    session: aiohttp.ClientSession
    peers: tuple[str, ...]  # host:port
    internal_key: str
    regions: Callable[[], Collection[str]]
    on_change: Callable[[RttView], None]
    clock: Callable[[], float]
    model: RttModel = field(default_factory=RttModel)
    has_all: bool = False

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            await self.fetch_all()
            await asyncio.sleep(SYNC_SECONDS if self.has_all else START_SECONDS)

    async def fetch_all(self) -> None:
        """Fetch once from every gateway; use what is new."""
        taken = 0
        for url in await self._urls():
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    received = await self._fetch(url)
            except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
                log.debug("rtt_not_fetched", reason=type(error).__name__)
                continue
            self.has_all = True
            taken += merge(self.model, received, self.regions(), self.clock())
        if taken:
            log.info("rtt_fetched", figures=taken)
            self.on_change(RttView(self.model, self.clock()))

    async def _urls(self) -> list[str]:
        found: dict[str, None] = {}
        for peer in self.peers:
            host, _, port = peer.rpartition(":")
            try:
                loop = asyncio.get_running_loop()
                listed = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            except (OSError, ValueError):
                continue
            for entry in listed:
                address = str(entry[4][0])
                found[f"http://{f'[{address}]' if ':' in address else address}:{port}{RTT_PATH}"] = None
        return list(found)[:MAX_GATEWAYS]

    async def _fetch(self, url: str) -> ExchangedCells:
        newest = 2 * SYNC_SECONDS if self.has_all else math.inf
        asked = url if math.isinf(newest) else f"{url}?newer_than_seconds={newest:g}"
        headers = {"Authorization": BEARER + gateway_token(self.internal_key)}
        async with self.session.get(asked, headers=headers, allow_redirects=False) as response:
            response.raise_for_status()
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise aiohttp.ClientPayloadError(f"more than {MAX_BYTES} bytes")
        return await asyncio.to_thread(ExchangedCells.model_validate_json, body)  # tens of milliseconds
