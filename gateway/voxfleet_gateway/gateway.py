"""Puts the parts of a gateway together, runs them, and ends them in order.

Knows: who tells whom. Does not know: how any part works.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from voxfleet_gateway.cluster.api import KubernetesApi
from voxfleet_gateway.cluster.endpoint_watch import LABEL_SELECTOR as ENDPOINT_SELECTOR
from voxfleet_gateway.cluster.endpoint_watch import PATH as ENDPOINT_PATH
from voxfleet_gateway.cluster.endpoint_watch import EndpointWatch
from voxfleet_gateway.cluster.lease_renewer import LeaseRenewer
from voxfleet_gateway.cluster.lease_watch import LeaseWatch, leases_path
from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.cluster.registry_watch import LABEL_SELECTOR as REGISTRY_SELECTOR
from voxfleet_gateway.cluster.registry_watch import RegistryWatch, registry_path
from voxfleet_gateway.decisions.retry_policy import RetryBudget
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import LoadPoller
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.proxy import Proxy
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.settings import Settings

FLUSH_SECONDS = 3.0  # for the last renewals, when the API server is slow or away
HELD_ANSWER_SECONDS = 2.0  # before the end of the drain, those still held are answered


@dataclass(slots=True)
class Gateway:
    """All parts of one gateway process."""

    settings: Settings
    fleet: Fleet
    watches: tuple[ListWatch, ...]
    lease_renewer: LeaseRenewer
    poller: LoadPoller
    hold_queues: HoldQueues
    health: Health
    speech: Speech
    models: Models

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for watch in self.watches:
                    group.create_task(watch.run(), name=f"watch {watch.name}")
                group.create_task(self.lease_renewer.run(), name="demand")
        finally:
            await self.poller.stop()

    async def drain(self) -> None:
        """After SIGTERM: let open and held requests end, then answer those that still wait."""
        self.health.draining = True
        await self._flush_leases()
        await asyncio.sleep(self.settings.drain_grace_seconds)
        await self._wait_until_quiet(max(0.0, self.settings.drain_seconds - HELD_ANSWER_SECONDS))
        self.hold_queues.drain()
        await self._wait_until_quiet(HELD_ANSWER_SECONDS)
        await self._flush_leases()

    async def _wait_until_quiet(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while self._busy():  # noqa: ASYNC110  # counters, not an event: this runs once in a lifetime
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return

    def _busy(self) -> bool:
        return any(traffic.open_requests + traffic.held_requests for traffic in self.fleet.traffic_by_region.values())

    async def _flush_leases(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.lease_renewer.flush()
        except TimeoutError:
            return


@asynccontextmanager
async def open_gateway(settings: Settings, api: KubernetesApi) -> AsyncIterator[Gateway]:
    """Build a gateway around a connection to the API server."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield _assemble(settings, api, session)


def _assemble(settings: Settings, api: KubernetesApi, session: aiohttp.ClientSession) -> Gateway:
    """Every part gets what it needs and nothing else; changes flow registry -> fleet -> poller and hold room."""

    def refresh() -> None:
        fleet.refresh()
        poller.follow_fleet()

    def region_changed(key: RegionKey) -> None:
        dispatcher.region_changed(key)

    def lease_changed() -> None:
        for key in [*hold_queues.queues]:
            dispatcher.region_changed(key)

    registry = RegistryWatch(refresh)
    endpoints = EndpointWatch(refresh)
    leases = LeaseWatch(api, settings.pod_name, lease_changed)
    fleet = Fleet(lambda: registry.registry, endpoints.pods, lambda: leases.leases, region_changed)
    poller = LoadPoller(fleet, session, settings.internal_key.get_secret_value())
    lease_renewer = LeaseRenewer(fleet, leases)

    def counted(key: RegionKey, held: int) -> None:
        fleet.held(key, held)
        lease_renewer.notify(key)

    hold_queues = HoldQueues(counted)
    dispatcher = Dispatcher(fleet, hold_queues, lease_renewer.notify)
    speech = Speech(settings, fleet, dispatcher, Proxy(session, lambda: health.draining), RetryBudget())
    watches = (
        ListWatch("models", api, registry_path(settings.system_namespace), registry, REGISTRY_SELECTOR),
        ListWatch("endpoints", api, ENDPOINT_PATH, endpoints, ENDPOINT_SELECTOR),
        ListWatch("leases", api, leases_path(settings.demand_namespace), leases),
    )
    health = Health(lambda: [watch.name for watch in watches if not watch.synced.is_set()])
    models = Models(fleet, dispatcher, speech)
    return Gateway(settings, fleet, watches, lease_renewer, poller, hold_queues, health, speech, models)
