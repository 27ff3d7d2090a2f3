"""The parts of a gateway, run together and stopped in order.

Knows which parts run, and what a gateway that ends waits for. Does not know how they are built (assembly.py), how any
part works.
"""

import asyncio
from dataclasses import dataclass, field

from voxfleet_gateway.cluster.lease_renewer import LeaseRenewer
from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.pods import gauges
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import LoadPoller
from voxfleet_gateway.pods.region_series import RegionSeries
from voxfleet_gateway.server.clients.clients import Clients
from voxfleet_gateway.server.fleet.assembly import FleetPage
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.internal_routes import InternalVoices
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import BODIES, BODIES_LIMIT

FLUSH_SECONDS = 3.0  # for the last renewals, when the API server is slow or away
HELD_RESPONSE_SECONDS = 2.0  # before the drain's end: time to send 503 to requests that are still held
QUIET_CHECK_SECONDS = 0.05


@dataclass(slots=True)
class Gateway:
    """All parts of one gateway process."""

    settings: Settings
    fleet: Fleet
    watches: tuple[ListWatch, ...]
    lease_renewer: LeaseRenewer
    poller: LoadPoller
    hold_queues: HoldQueues
    dispatcher: Dispatcher
    health: Health
    speech: Speech
    live: Live
    models: Models
    voices: Voices
    internal_voices: InternalVoices | None
    clients: Clients
    fleet_page: FleetPage
    peering: Peering | None = None  # with gateways of other regions
    region_series: RegionSeries = field(default_factory=RegionSeries)

    async def run(self) -> None:
        """Watch, renew and poll until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for watch in self.watches:
                    group.create_task(watch.run(), name=f"watch {watch.name}")
                group.create_task(self.lease_renewer.run(), name="leases")
                group.create_task(self.speech.accounts.store.run(), name="accounts")
                group.create_task(self.live.run(), name="keys of sessions")
                if self.peering is not None:
                    group.create_task(self.peering.run(), name="peers")
                group.create_task(self.clients.run(), name="clients")
                if (stored := self.internal_voices) is not None:
                    group.create_task(stored.peers.follow(stored.repository), name="voices")
                if (checker := self.voices.checker) is not None:
                    group.create_task(checker.run(), name="voice checks")
        finally:
            await self.poller.stop()
            await self.fleet_page.replicas.stop()
            if self.peering is not None:
                await self.peering.stop()

    def refresh_gauges(self) -> None:
        """Set the gauges that no event sets, before they are read."""
        gauges.refresh_gauges(self.fleet)
        self.region_series.follow(self.fleet.regions)
        self.speech.accounts.begin_series()
        if self.peering is not None:
            self.peering.refresh_gauges()
        self.hold_queues.refresh_gauges(self.fleet.registry().entries.values())
        self.clients.rtt.store.refresh_gauges()
        BODIES.set(self.speech.bodies.used_bytes)
        BODIES_LIMIT.set(self.speech.bodies.limit_bytes)

    async def drain(self) -> None:
        """Let open requests end within the drain time and hand held ones over; then refuse those that still wait."""
        self.health.is_draining = True
        await self._flush_leases()
        # Load balancers send new requests until they have read that this replica is unready.
        await asyncio.sleep(self.settings.drain_grace_seconds)
        self.dispatcher.hand_over()
        await self._wait_until_quiet(max(0.0, self.settings.drain_seconds - HELD_RESPONSE_SECONDS))
        self.dispatcher.handover.end()
        if self.peering is not None:
            self.peering.regions.end()
        self.hold_queues.drain()
        await self._wait_until_quiet(HELD_RESPONSE_SECONDS)
        await self._flush_leases()

    async def _wait_until_quiet(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while self._is_busy():  # noqa: ASYNC110  # counters, not an event: this runs once in a lifetime
                    await asyncio.sleep(QUIET_CHECK_SECONDS)
        except TimeoutError:
            return

    def _is_busy(self) -> bool:
        if not self.health.is_quiet(self.settings.drain_grace_seconds):
            return True
        # Those that another gateway has handed over come through the internal port.
        return bool(self.hold_queues.queues or self.dispatcher.handover.open_requests) or any(
            region.traffic.open_requests for region in self.fleet.regions.values()
        )

    async def _flush_leases(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.lease_renewer.flush()
        except TimeoutError:
            return
