"""The parts of a gateway that know other regions' gateways, put together.

Knows: which part calls which. Does not know: how any of them works.
"""

import asyncio
import math
from dataclasses import dataclass, field
from itertools import product

from voxfleet_gateway.peers.client import PeerClient
from voxfleet_gateway.peers.poller import PeerPoller
from voxfleet_gateway.peers.remote_regions import RemoteRegions
from voxfleet_gateway.peers.spill import Spills
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.settings import Settings, parse_domains, parse_networks
from voxfleet_gateway.telemetry import (
    FAILURES,
    PEER_FAILURES,
    PEER_REPORT_AGE,
    SERVED_ROUTES,
    SPILLS,
    SPILLS_RECEIVED,
    begin_series,
)

# Whose counters begin with 0: a region's name is the choice of a resource's author.
MOST_COUNTED_PEERS = 32
PEER_FAULTS = (
    *("connect", "address", "certificate", "timeout", "reset", "status", "size", "form", "region", "clock", "internal"),
    *("wake", "invalid_spill", *(f"request_{failure}" for failure in FAILURES)),
)
NO_URL = "its resource gives it no gatewayURL, or one that the operator refuses (condition GatewayURLForbidden)"


@dataclass(slots=True)
class Peering:
    """What a gateway with a peer certificate has beside its own region."""

    tls: PeerTls
    regions: RemoteRegions
    poller: PeerPoller
    spills: Spills
    counted: set[str] = field(default_factory=set)  # regions of peers whose counters have begun

    @classmethod
    def of(cls, settings: Settings, client: PeerClient, fleet: Fleet) -> "Peering":
        """Return the parts, which follow the fleet's models from now on."""
        domains, networks = parse_domains(settings.allowed_peer_domains), parse_networks(settings.allowed_peer_networks)
        regions = RemoteRegions(fleet, domains, networks, settings.peer_poll_seconds)
        poller = PeerPoller(regions, client)
        regions.on_peers_change, regions.on_suspicion = poller.follow, poller.poll_now
        fleet.on_models_change = regions.follow
        return cls(client.tls, regions, poller, Spills(regions, client))

    async def run(self) -> None:
        """Follow the certificate's files until cancelled."""
        await self.tls.follow()

    async def stop(self) -> None:
        """End polls and wakes."""
        waking = [*self.spills.waking]
        for task in waking:
            task.cancel()
        await asyncio.gather(self.poller.stop(), *waking, return_exceptions=True)

    def fault(self, key: RegionKey) -> str:
        """Return why a region's gateway is not reached or does not report; empty where it does, or is this one."""
        region = self.regions.fleet.regions.get(key)
        if region is None or region.is_here:
            return ""
        if (refused := self.regions.refused.get(key)) is not None:
            return f"its gatewayURL is refused: {refused}"
        if (peer := self.regions.peer_of.get(key)) is None:
            return NO_URL
        polls = self.poller.polls.get(peer)
        return polls.fault if polls is not None else ""

    def refresh_gauges(self) -> None:
        """Set the ages of the newest reports, by region, and let its counters begin and end with a peer."""
        self._follow_series({peer.region for peer in self.regions.keys_of})
        PEER_REPORT_AGE.clear()
        now_seconds = self.regions.fleet.clock()
        newest: dict[str, float] = {}
        for peer in self.regions.keys_of:
            received = self.regions.reports.get(peer)
            asked_seconds = received.asked_seconds if received is not None else -math.inf
            newest[peer.region] = max(newest.get(peer.region, -math.inf), asked_seconds)
        for region, asked_seconds in newest.items():
            PEER_REPORT_AGE.labels(region).set(now_seconds - asked_seconds)

    def _follow_series(self, present: set[str]) -> None:
        for region in self.counted - present:
            for counter in (PEER_FAILURES, SPILLS, SPILLS_RECEIVED):
                counter.remove_by_labels({"peer": region})
        new = sorted(present - self.counted)[: MOST_COUNTED_PEERS - len(self.counted & present)]
        begin_series(
            {
                PEER_FAILURES: product(new, PEER_FAULTS),
                SPILLS: product(new, SERVED_ROUTES),
                SPILLS_RECEIVED: product(new, ("200", "503")),
            }
        )
        self.counted = (self.counted & present) | {*new}
