"""Exchanges round trips with gateways of other regions, over the peers' port: each sends those to its own region.

Knows: GET /internal/rtt of the port for peers; that a peer which reports nothing is not asked, one that is asked again
sends what is new, and what any of them may send is bounded. Does not know: what is believed of it
(decisions/rtt/peer_exchange.py), which peers there are (peers/remote_regions.py).
"""

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import structlog
from pydantic import ValidationError

from voxfleet_gateway.decisions.rtt.exchange import MAX_ROWS
from voxfleet_gateway.decisions.rtt.peer_exchange import read_from_peer
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.location.rtt_sync import FETCH_SECONDS, RTT_PATH, read_bounded
from voxfleet_gateway.peers.client import PeerClient
from voxfleet_gateway.peers.remote_regions import Peer, RemoteRegions

SYNC_SECONDS = 5.0  # between two fetches from a peer
NEWEST_SECONDS = 3 * SYNC_SECONDS  # what counts as new: a fetch that fails is made good by the next
NEWEST_ROWS = 1000  # of the coarsest levels first; 100 KB
MAX_BYTES = 2 * 2**20  # a row has 100 bytes
KEPT_SECONDS = 1.0  # an answer serves all peers that ask within so long
CONCURRENT_FETCHES = 4  # a whole answer takes tens of milliseconds of a processor

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RttAnswers:
    """What this gateway answers its peers."""

    store: RttStore
    clock: Callable[[], float] = time.monotonic
    kept: dict[bool, tuple[float, bytes]] = field(default_factory=dict)  # by is_newest: until when, and the answer

    def body(self, *, is_newest: bool) -> bytes:
        """Return the round trips to this region as JSON: all, or the newest."""
        until_seconds, body = self.kept.get(is_newest, (-math.inf, b""))
        if self.clock() >= until_seconds:
            age_seconds, rows = (NEWEST_SECONDS, NEWEST_ROWS) if is_newest else (math.inf, MAX_ROWS)
            body = json.dumps(self.store.export_to_peers(age_seconds, rows), separators=(",", ":")).encode()
            self.kept[is_newest] = self.clock() + KEPT_SECONDS, body
        return body


@dataclass(slots=True)
class PeerRttSync:
    """The loop that asks peers."""

    store: RttStore
    regions: RemoteRegions
    client: PeerClient
    seen: set[Peer] = field(default_factory=set)  # peers whose newest is enough: they have sent everything
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_FETCHES))

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            await self.fetch_all()

    async def fetch_all(self) -> None:
        """Fetch once from every peer that reports."""
        peers = [peer for peer in self.regions.keys_of if self.regions.is_reporting(peer)]
        self.seen &= {*peers}  # what a peer had learned while it was away is no longer new
        await asyncio.gather(*(self._fetch_from(peer) for peer in peers))

    async def _fetch_from(self, peer: Peer) -> None:
        async with self.free:
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    taken = await self._fetch(peer)
            except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
                log.debug("peer_rtt_not_fetched", peer=peer.region, reason=type(error).__name__)
                self.seen.discard(peer)
                return
        if peer not in self.seen:
            log.info("peer_rtt_fetched", peer=peer.region, figures=taken)
        self.seen.add(peer)

    async def _fetch(self, peer: Peer) -> int:
        query = f"?newer_than_seconds={NEWEST_SECONDS:g}" if peer in self.seen else ""
        session, url = self.client.of(peer.region), peer.url.url(RTT_PATH + query)
        headers = {"Accept-Encoding": "identity"}
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            response.raise_for_status()
            body = await read_bounded(response, MAX_BYTES)
        rows = await asyncio.to_thread(read_from_peer, body, peer.region)
        return self.store.merge_from_peer(rows, peer.region)
