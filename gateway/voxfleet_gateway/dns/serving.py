"""Builds the DNS engine, and serves its socket and metrics until SIGTERM or SIGINT.

Knows: sockets, signals, which settings add which part. Does not know: what the parts do (parts.py).
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import structlog

from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.cluster.registry_watch import LABEL_SELECTOR, RegistryWatch, registry_path
from voxfleet_gateway.dns.backend_server import serve_backend
from voxfleet_gateway.dns.engine import Engine
from voxfleet_gateway.dns.inputs.addresses import GatewayAddresses
from voxfleet_gateway.dns.inputs.learned_rtts import RttFetch, RttView
from voxfleet_gateway.dns.inputs.leaves import LeafFinder
from voxfleet_gateway.dns.inputs.reports import RegionReports
from voxfleet_gateway.dns.inputs.url_rules import UrlRules
from voxfleet_gateway.dns.inputs.zone_file import read_zone_file
from voxfleet_gateway.dns.metrics_server import serving_metrics
from voxfleet_gateway.dns.parts import Parts
from voxfleet_gateway.dns.settings import DnsSettings
from voxfleet_gateway.dns.solver import Solver
from voxfleet_gateway.location.database import LocationDatabase
from voxfleet_gateway.peers.client import open_peer_client
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.regions import ObjectKey
from voxfleet_gateway.settings import parse_domains, parse_networks, parse_peers

log = structlog.get_logger(__name__)


async def serve(settings: DnsSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises GatewayError or OSError when it cannot start."""
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    mode = int(settings.backend_socket_mode, 8)
    async with AsyncExitStack() as stack:
        parts = await _assemble(settings, stack)
        respond = parts.engine.answering.respond
        await stack.enter_async_context(
            serving_metrics(settings.host, settings.metrics_port, parts.refresh_gauges, lambda: parts.is_serving)
        )
        running = await stack.enter_async_context(_running(parts))
        await _first_of(running, ended, parts.ready)
        if parts.ready.is_set():
            await stack.enter_async_context(serve_backend(Path(settings.backend_socket), mode, respond))
            parts.is_serving = True
            log.info("serving", socket=settings.backend_socket, zone=parts.engine.file.apex)
            await _first_of(running, ended)


@asynccontextmanager
async def _running(parts: Parts) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(parts.run(), name="engine")
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _first_of(running: asyncio.Task[None], *events: asyncio.Event) -> None:
    """Wait for one of the events. Raises what ended the engine: a programming error; the process is restarted."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait({running, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _assemble(settings: DnsSettings, stack: AsyncExitStack) -> Parts:
    database = LocationDatabase(settings.location_paths)
    database.open()
    file = read_zone_file(Path(settings.zone_file))
    leaves = LeafFinder(database.files)
    rules = UrlRules(parse_domains(settings.allowed_peer_domains), parse_networks(settings.allowed_peer_networks))
    engine = Engine(file, leaves.find, explore_share=settings.explore_share, url_rules=rules)
    addresses = GatewayAddresses(settings.allow_private_addresses, file.alpn)
    tls = PeerTls.of(Path(settings.peer_tls_folder)) if settings.peer_tls_folder else None
    parts = Parts(settings, engine, addresses, Solver(), database, leaves, tls)
    if settings.rtt_peers:
        parts.rtts = _rtt_fetch(settings, parts, await stack.enter_async_context(_session()))
    if tls is not None:
        client = await stack.enter_async_context(open_peer_client(tls, engine.url_rules.networks))
        parts.reports = RegionReports(client, settings.report_seconds, parts.changed.set)
        engine.state_of = parts.reports.state
    if settings.registry:
        parts.watch = await _registry_watch(settings, parts, stack)
    return parts


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def _rtt_fetch(settings: DnsSettings, parts: Parts, session: aiohttp.ClientSession) -> RttFetch:
    engine = parts.engine

    def regions() -> set[str]:
        return {region.name for model in engine.models for region in model.regions}

    def use(view: RttView) -> None:
        engine.rtts = view
        parts.changed.set()

    peers, key = parse_peers(settings.rtt_peers), settings.internal_key.get_secret_value()
    return RttFetch(session, peers, key, regions, use, engine.clock)


async def _registry_watch(settings: DnsSettings, parts: Parts, stack: AsyncExitStack) -> ListWatch:
    from voxfleet_gateway.cluster.api import connect  # noqa: PLC0415  # the Kubernetes client takes a second to import

    api = await connect(settings.kubeconfig)
    stack.push_async_callback(api.close)

    def changed(_refs: Iterable[ObjectKey]) -> None:
        parts.engine.entries = tuple(receiver.registry.entries.values())
        parts.changed.set()

    receiver = RegistryWatch(changed)
    return ListWatch("models", api, registry_path(settings.system_namespace), receiver, LABEL_SELECTOR)
