"""Runs the DNS engine until SIGTERM or SIGINT: the socket, reports, solutions, reloads, metrics.

Knows: sockets, signals, files, intervals. Does not know: how answers are decided.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog

from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.cluster.registry_watch import LABEL_SELECTOR, RegistryWatch, registry_path
from voxfleet_gateway.dns.addresses import GatewayAddresses
from voxfleet_gateway.dns.backend_server import serve_backend
from voxfleet_gateway.dns.engine import Engine
from voxfleet_gateway.dns.learned_rtts import RttFetch, RttView
from voxfleet_gateway.dns.leaves import LeafFinder
from voxfleet_gateway.dns.metrics_server import serving_metrics
from voxfleet_gateway.dns.reports import RegionReports
from voxfleet_gateway.dns.settings import DnsSettings
from voxfleet_gateway.dns.solver import Solver
from voxfleet_gateway.dns.telemetry import RELOAD_FAILURES
from voxfleet_gateway.dns.url_rules import UrlRules
from voxfleet_gateway.dns.zone_file import read_zone_file
from voxfleet_gateway.errors import ZoneFileError
from voxfleet_gateway.location.database import LocationDatabase
from voxfleet_gateway.peers.client import open_peer_client
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_gateway.regions import ObjectKey
from voxfleet_gateway.settings import parse_domains, parse_networks, parse_peers

FILE_CHECK_SECONDS = 2.0  # kubelet replaces a mounted file within a minute or two
FIRST_PAUSE_SECONDS = 0.1  # between attempts until there is something to serve
REFRESH_SECONDS = 5.0  # for what changes with time alone: ramps, ages, a replaced database

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Parts:
    """What a running engine is made of."""

    settings: DnsSettings
    engine: Engine
    addresses: GatewayAddresses
    solver: Solver
    database: LocationDatabase
    leaves: LeafFinder
    tls: PeerTls | None
    reports: RegionReports | None = None
    rtts: RttFetch | None = None
    watch: ListWatch | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    # Models are read and their hosts resolved: an answer before would say that names or addresses do not exist.
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    is_resolved: bool = False
    is_serving: bool = False

    async def run(self) -> None:
        """Keep the engine's state up to date until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, loop in (
                    ("refresh", self._refresh()),
                    ("solve", self._solve()),
                    ("resolve", self._resolve()),
                    ("zone file", self._follow_file()),
                    ("location database", self.database.run()),
                ):
                    group.create_task(loop, name=name)
                if self.tls is not None:
                    group.create_task(self.tls.follow(), name="certificate")
                if self.rtts is not None:
                    group.create_task(self.rtts.run(), name="round trips")
                if self.watch is not None:
                    group.create_task(self.watch.run(), name="registry")
        finally:
            if self.reports is not None:
                await self.reports.stop()
            await self.solver.stop()

    def refresh_gauges(self) -> None:
        """Set what no event sets, before it is read."""
        self.engine.refresh_gauges()
        if self.reports is not None:
            self.reports.refresh_gauges(self.engine.clock())

    async def _refresh(self) -> None:
        """Make the data anew after a change, and now and then."""
        while True:
            self.changed.clear()
            if self.reports is not None:
                self.reports.follow(self.engine.sources)
            self.engine.resolved = dict(self.addresses.endpoints)
            if self.leaves.files is not self.database.files:
                self.leaves = LeafFinder(self.database.files)
                self.engine.find_leaf = self.leaves.find
            self.engine.refresh()
            if self.is_resolved:
                self.ready.set()
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self.changed.wait()
            except TimeoutError:
                continue

    async def _solve(self) -> None:
        while True:
            await asyncio.sleep(self.settings.solve_seconds)
            for model, problem in self.engine.problems().items():
                solution = await self.solver.solve(problem)
                if solution is not None:
                    self.engine.use(model, solution)
            self.changed.set()

    async def _resolve(self) -> None:
        while True:
            urls = self.engine.urls
            await self.addresses.resolve(urls)
            has_models = self.watch is None or self.watch.synced.is_set()
            self.is_resolved = self.is_resolved or (has_models and self.engine.urls <= urls)
            self.changed.set()
            if not self.is_resolved:
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
                continue
            for _ in range(max(1, round(self.settings.resolve_seconds))):
                await asyncio.sleep(min(1.0, self.settings.resolve_seconds))
                if self.engine.urls - urls:  # a region is new: resolve it now
                    break

    async def _follow_file(self) -> None:
        path = Path(self.settings.zone_file)
        last = _stamp(path)
        while True:
            await asyncio.sleep(FILE_CHECK_SECONDS)
            if (now := _stamp(path)) == last:
                continue
            last = now
            try:
                self.engine.file = read_zone_file(path)
            except ZoneFileError as error:
                RELOAD_FAILURES.inc()
                log.warning("zone_file_not_reloaded", error=str(error))
                continue
            log.info("zone_file_reloaded", zone=self.engine.file.apex)
            self.addresses.alpn = self.engine.file.alpn
            self.changed.set()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


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
