"""Builds the parts of a gateway, runs them, and stops them in order.

Knows: which part calls which. Does not know: how any part works.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.accounts.key_store import KeyStore
from voxfleet_gateway.cluster.api import KubernetesApi
from voxfleet_gateway.cluster.endpoint_watch import LABEL_SELECTOR as ENDPOINT_SELECTOR
from voxfleet_gateway.cluster.endpoint_watch import PATH as ENDPOINT_PATH
from voxfleet_gateway.cluster.endpoint_watch import SERVICE_LABEL, EndpointWatch
from voxfleet_gateway.cluster.gateway_watch import LABEL_SELECTOR as GATEWAY_SELECTOR
from voxfleet_gateway.cluster.gateway_watch import GatewayWatch, gateways_path
from voxfleet_gateway.cluster.lease_renewer import LeaseRenewer
from voxfleet_gateway.cluster.lease_watch import LeaseWatch, leases_path
from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.cluster.peers import Peers, peers_path
from voxfleet_gateway.cluster.registry_watch import LABEL_SELECTOR as REGISTRY_SELECTOR
from voxfleet_gateway.cluster.registry_watch import RegistryWatch, registry_path
from voxfleet_gateway.decisions.hold.hold_places import HoldBounds, HoldPlaces
from voxfleet_gateway.decisions.pods.retry_policy import RetryBudget
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.dispatch.handover import Handover
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.peers.client import PeerClient, open_peer_client
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.pods import gauges
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import LoadPoller
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.server.clients.clients import Clients, open_clients
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.requests.request_body import BodyBudget
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.upstream.pacing import paced_connections
from voxfleet_gateway.server.upstream.proxy import Proxy
from voxfleet_gateway.server.voices.assembly import stored_voices, voice_handlers
from voxfleet_gateway.server.voices.internal_routes import InternalVoices
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.settings import Settings, parse_networks
from voxfleet_gateway.telemetry import BODIES, BODIES_LIMIT
from voxfleet_gateway.tokens import gateway_token

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
    peering: Peering | None = None  # with gateways of other regions

    async def run(self) -> None:
        """Watch, renew and poll until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for watch in self.watches:
                    group.create_task(watch.run(), name=f"watch {watch.name}")
                group.create_task(self.lease_renewer.run(), name="leases")
                group.create_task(self.speech.accounts.store.run(), name="accounts")
                if self.peering is not None:
                    group.create_task(self.peering.run(), name="peers")
                group.create_task(self.clients.run(), name="clients")
                if (stored := self.internal_voices) is not None:
                    group.create_task(stored.peers.follow(stored.repository), name="voices")
                if (checker := self.voices.checker) is not None:
                    group.create_task(checker.run(), name="voice checks")
        finally:
            await self.poller.stop()
            if self.peering is not None:
                await self.peering.stop()

    def refresh_gauges(self) -> None:
        """Set the gauges that no event sets, before they are read."""
        gauges.refresh_gauges(self.fleet)
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


@asynccontextmanager
async def open_gateway(settings: Settings, api: KubernetesApi) -> AsyncIterator[Gateway]:
    """Build a gateway around a connection to the API server."""
    # Requests are bounded per pod (OPEN_LIMIT_PER_POD), not per connector. No cookies, proxies or decompression:
    # responses are passed on as they are.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[paced_connections()],
    ) as session:
        if not settings.peer_tls_folder:
            yield _assemble(settings, api, session)
            return
        tls, networks = (
            PeerTls.of(Path(settings.peer_tls_folder), settings.region),
            parse_networks(settings.allowed_peer_networks),
        )
        async with open_peer_client(tls, networks, [paced_connections()]) as client:
            yield _assemble(settings, api, session, client)


def _assemble(
    settings: Settings, api: KubernetesApi, session: aiohttp.ClientSession, client: PeerClient | None = None
) -> Gateway:
    """Build every part with what it needs; changes go from watches to fleet, and from there to poller and queues."""

    def region_changed(key: RegionKey) -> None:
        dispatcher.region_changed(key)

    def held_changed(key: RegionKey) -> None:
        lease_renewer.notify(key)

    def peers_changed() -> None:
        fleet.replicas = peers.replicas()
        fleet.refresh()

    registry = RegistryWatch(lambda refs: fleet.refresh_models(refs))  # noqa: PLW0108  # the fleet is made below
    endpoints = EndpointWatch(lambda services: fleet.refresh_services(services))  # noqa: PLW0108
    leases = LeaseWatch(api, settings.pod_name, lambda changed: fleet.notify_leases(changed))  # noqa: PLW0108
    service = (settings.system_namespace, settings.gateway_service)
    peers = Peers(service, settings.pod_name, settings.replicas, peers_changed)
    hold_queues = HoldQueues(held_changed, _hold_places(settings), peers.replicas)
    fleet = Fleet(lambda: registry.registry, endpoints.pods, lambda: leases.leases, hold_queues.held, region_changed)
    fleet.free_places = hold_queues.free_places
    fleet.replicas, fleet.gateway_region = settings.replicas, settings.region
    poller = LoadPoller(fleet, session, settings.internal_key.get_secret_value())
    fleet.on_suspicion, fleet.on_pods_change = poller.poll_now, poller.follow
    lease_renewer = LeaseRenewer(fleet, leases)
    handover = Handover(peers.others, gateway_token(settings.internal_key.get_secret_value()))
    gateways = GatewayWatch()
    accounts = _accounts(settings, gateways)
    dispatcher = Dispatcher(fleet, hold_queues, lease_renewer.notify, handover, take_wake=accounts.take_wake)
    proxy, bodies = Proxy(session, lambda: health.is_draining), BodyBudget(settings.max_bodies_bytes)
    speech = Speech(settings, dispatcher, proxy, RetryBudget(), bodies, accounts)
    peering = Peering.of(settings, client, fleet) if client is not None else None
    dispatcher.spills = peering.spills if peering is not None else None
    internal = stored_voices(settings, session, peering)
    stored = speech.voices = internal.repository if internal is not None else None
    watches = (
        *_model_watches(settings, api, registry, endpoints, leases),
        *_gateway_watches(settings, api, gateways, peers),
    )
    health = Health(lambda: [watch.name for watch in watches if not watch.synced.is_set()])
    dispatcher.is_synced = watches[0].synced.is_set
    accounts.has_public_models = dispatcher.has_public_models
    return Gateway(
        settings,
        fleet,
        watches,
        lease_renewer,
        poller,
        hold_queues,
        dispatcher,
        health,
        speech,
        Live(speech),
        Models(dispatcher, speech),
        voice_handlers(speech, stored),
        internal,
        open_clients(settings, dispatcher, session, peers.others, peering),
        peering,
    )


def _hold_places(settings: Settings) -> HoldPlaces:
    """Build the bounds of what this process holds."""
    return HoldPlaces(
        HoldBounds(settings.max_held_requests, settings.max_bodies_bytes, settings.max_held_audio_seconds)
    )


def _accounts(settings: Settings, gateways: GatewayWatch) -> Accounts:
    """Build the accounts of tenants, whose limits the ready gateways share."""
    accounts = Accounts(settings, KeyStore(settings.keys_folder, settings.tenants_file))
    accounts.gateways = lambda: gateways.ready or settings.replicas
    accounts.store.open()
    return accounts


def _model_watches(
    settings: Settings, api: KubernetesApi, registry: RegistryWatch, endpoints: EndpointWatch, leases: LeaseWatch
) -> Iterator[ListWatch]:
    """Yield the watches of the models, first, and of their pods and demand Leases."""
    yield ListWatch("models", api, registry_path(settings.system_namespace), registry, REGISTRY_SELECTOR)
    yield ListWatch("endpoints", api, ENDPOINT_PATH, endpoints, ENDPOINT_SELECTOR)
    yield ListWatch("leases", api, leases_path(settings.demand_namespace), leases)


def _gateway_watches(
    settings: Settings, api: KubernetesApi, gateways: GatewayWatch, peers: Peers
) -> Iterator[ListWatch]:
    """Yield the watches of all gateways, and of this region's where their Service is known."""
    namespace, service = settings.system_namespace, settings.gateway_service
    yield ListWatch("gateways", api, gateways_path(namespace), gateways, GATEWAY_SELECTOR)
    if service:
        yield ListWatch("peers", api, peers_path(namespace), peers.endpoints, f"{SERVICE_LABEL}={service}")
