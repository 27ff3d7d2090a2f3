"""What a running DNS engine is made of, and what keeps its data up to date: reports, solutions, addresses, files.

Knows intervals, and which change makes the data anew. Does not know sockets, signals, how answers are decided.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from voxfleet_gateway.cluster.list_watch import ListWatch
from voxfleet_gateway.dns.engine import Engine
from voxfleet_gateway.dns.inputs.addresses import GatewayAddresses
from voxfleet_gateway.dns.inputs.learned_rtts import RttFetch
from voxfleet_gateway.dns.inputs.leaves import LeafFinder
from voxfleet_gateway.dns.inputs.reports import RegionReports
from voxfleet_gateway.dns.inputs.zone_file import read_zone_file
from voxfleet_gateway.dns.settings import DnsSettings
from voxfleet_gateway.dns.solver import Solver
from voxfleet_gateway.dns.telemetry import RELOAD_FAILURES
from voxfleet_gateway.errors import ZoneFileError
from voxfleet_gateway.location.database import LocationDatabase
from voxfleet_gateway.peers.tls import PeerTls

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
