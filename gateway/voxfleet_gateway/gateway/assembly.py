"""Builds the parts of a gateway, each with what it needs.

Knows which part calls which. Does not know how any part works, nor when it runs (gateway.py).
"""

from collections.abc import AsyncIterator, Callable, Iterator
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
from voxfleet_gateway.gateway.gateway import Gateway
from voxfleet_gateway.peers.client import PeerClient, open_peer_client
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import LoadPoller
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.server.clients.clients import open_clients
from voxfleet_gateway.server.fleet.assembly import open_fleet_page
from voxfleet_gateway.server.fleet.replicas import GatewayReplicas
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.requests.request_body import BodyBudget
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.upstream.pacing import paced_connections
from voxfleet_gateway.server.upstream.proxy import Proxy
from voxfleet_gateway.server.voices.assembly import stored_voices, voice_handlers
from voxfleet_gateway.settings import Settings, parse_networks
from voxfleet_gateway.tokens import gateway_token


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
        fleet_page.events.audience.feed.mark(key)

    def held_changed(key: RegionKey) -> None:
        lease_renewer.notify(key)
        fleet_page.events.audience.feed.mark(key)

    watched = _watched(settings, api, lambda: fleet)
    peers = watched.peers
    hold_queues = HoldQueues(held_changed, _hold_places(settings), peers.replicas)
    fleet = _fleet(settings, watched, hold_queues, region_changed)
    poller = _poller(settings, fleet, session)
    lease_renewer = LeaseRenewer(fleet, watched.leases)
    token = gateway_token(settings.internal_key.get_secret_value())
    handover, replicas = Handover(peers.others, token), GatewayReplicas(session, peers.others, token)
    accounts = _accounts(settings, watched.gateways)
    dispatcher = Dispatcher(fleet, hold_queues, lease_renewer.notify, handover, take_wake=accounts.take_wake)
    proxy, bodies = Proxy(session, lambda: health.is_draining), BodyBudget(settings.max_bodies_bytes)
    speech = Speech(settings, dispatcher, proxy, RetryBudget(), bodies, accounts)
    peering = _peering(settings, fleet, dispatcher, client)
    internal = stored_voices(settings, session, peering)
    stored = speech.voices = internal.repository if internal is not None else None
    watches = tuple(_watches(settings, api, watched))
    health, dispatcher.is_synced = _health(watches), watches[0].synced.is_set
    fleet_page = open_fleet_page(settings, dispatcher, accounts, health, watched.leases, bodies, peering, replicas)
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
        Models(dispatcher, speech, fleet_page.operations),
        voice_handlers(speech, stored),
        internal,
        open_clients(settings, dispatcher, session, peers.others, peering),
        fleet_page,
        peering,
    )


@dataclass(frozen=True, slots=True)
class _Watched:
    """The objects that the watches of the cluster write to."""

    registry: RegistryWatch
    endpoints: EndpointWatch
    leases: LeaseWatch
    gateways: GatewayWatch
    peers: Peers


def _watched(settings: Settings, api: KubernetesApi, fleet: Callable[[], Fleet]) -> _Watched:
    """Build what the watches write to; `fleet`, which is made from it, is called at each change."""

    def peers_changed() -> None:
        fleet().replicas = peers.replicas()
        fleet().refresh()

    service = (settings.system_namespace, settings.gateway_service)
    peers = Peers(service, settings.pod_name, settings.replicas, peers_changed)
    return _Watched(
        RegistryWatch(lambda refs: fleet().refresh_models(refs)),
        EndpointWatch(lambda services: fleet().refresh_services(services)),
        LeaseWatch(api, settings.pod_name, lambda changed: fleet().notify_leases(changed)),
        GatewayWatch(),
        peers,
    )


def _fleet(
    settings: Settings, watched: _Watched, hold_queues: HoldQueues, region_changed: Callable[[RegionKey], None]
) -> Fleet:
    """Build the fleet, which reads the watched objects and the hold queues."""
    registry, leases = watched.registry, watched.leases
    fleet = Fleet(
        lambda: registry.registry, watched.endpoints.pods, lambda: leases.leases, hold_queues.held, region_changed
    )
    fleet.free_places = hold_queues.free_places
    fleet.replicas, fleet.gateway_region = settings.replicas, settings.region
    return fleet


def _poller(settings: Settings, fleet: Fleet, session: aiohttp.ClientSession) -> LoadPoller:
    """Build the poller of the pods' load; the fleet names the pods, and those that are to be polled at once."""
    poller = LoadPoller(fleet, session, settings.internal_key.get_secret_value())
    fleet.on_suspicion, fleet.on_pods_change = poller.poll_now, poller.follow
    return poller


def _peering(settings: Settings, fleet: Fleet, dispatcher: Dispatcher, client: PeerClient | None) -> Peering | None:
    """Build what other regions' gateways are asked with, where they have a port, for the dispatcher's spills too."""
    peering = Peering.of(settings, client, fleet) if client is not None else None
    dispatcher.spills = peering.spills if peering is not None else None
    return peering


def _health(watches: tuple[ListWatch, ...]) -> Health:
    return Health(lambda: [watch.name for watch in watches if not watch.synced.is_set()])


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


def _watches(settings: Settings, api: KubernetesApi, watched: _Watched) -> Iterator[ListWatch]:
    """Yield the watches: of the models, first, of their pods and demand Leases, and of the gateways.

    Those of this region's gateways are watched where their Service is known.
    """
    namespace, service = settings.system_namespace, settings.gateway_service
    yield ListWatch("models", api, registry_path(namespace), watched.registry, REGISTRY_SELECTOR)
    yield ListWatch("endpoints", api, ENDPOINT_PATH, watched.endpoints, ENDPOINT_SELECTOR)
    yield ListWatch("leases", api, leases_path(settings.demand_namespace), watched.leases)
    yield ListWatch("gateways", api, gateways_path(namespace), watched.gateways, GATEWAY_SELECTOR)
    if service:
        yield ListWatch("peers", api, peers_path(namespace), watched.peers.endpoints, f"{SERVICE_LABEL}={service}")
