"""Regions that report over mutual TLS: answers follow their health and their capacity."""

import asyncio
import contextlib
import datetime as dt
import ssl
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from voxfleet_gateway.peers.report import REGION_PATH, ModelReport, RegionReport, format_report
from voxfleet_gateway.peers.tls import PeerTls
from voxfleet_testbed.dns.location_example import write_location_database
from voxfleet_testbed.dns.processes import LOOPBACK, DnsServers, running
from voxfleet_testbed.dns.queries import addresses, query, subnet
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.network.certificates import Authority, Identity, make_authority

LONG_SECONDS = 90.0
pytestmark = pytest.mark.asyncio(loop_scope="module")
MODEL = "vox.tts.example.com."
ASIA, EUROPE = "192.0.2.1", "192.0.2.2"
FRANKFURT, AMSTERDAM = "latitude: 50.1, longitude: 8.7", "latitude: 52.4, longitude: 4.9"
SMALL_LEAF, LARGE_LEAF = "50.0.2.0/24", "30.0.0.0/24"  # of Berlin: a /23 and a /9
CLIENTS = [f"20.{second}.{third}.0/24" for second in range(16) for third in (0, 128)]  # Shanghai: 16 blocks of /16


@dataclass
class Region:
    """A gateway's port for peers: it reports what the test sets, by the real contract."""

    name: str
    folder: Path
    port: int
    rows: int = 64
    open_requests: int = 0
    asked: int = 0
    fault: Callable[[], web.Response] | None = None
    runner: web.AppRunner | None = field(default=None, repr=False)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(REGION_PATH, self._report)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        context: ssl.SSLContext = PeerTls.of(self.folder).listening
        await web.TCPSite(self.runner, LOOPBACK, self.port, ssl_context=context).start()

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    async def _report(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.fault is not None:
            return self.fault()
        row = ModelReport(
            namespace="default", name="vox", ready_pods=2, rows=self.rows, open_requests=self.open_requests
        )
        report = RegionReport(region=self.name, at=dt.datetime.now(dt.UTC), models=(row,))
        return web.Response(body=format_report(report))


def issue(folder: Path, authority: Authority, region: str) -> Path:
    folder.mkdir()
    pair = authority.issue(Identity(region, names=(region,)), dt.datetime.now(dt.UTC))
    for name, data in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", authority.pem())):
        (folder / name).write_bytes(data)
    return folder


@contextlib.asynccontextmanager
async def in_thread(context: contextlib.AbstractContextManager[object]) -> AsyncIterator[None]:
    """Enter and leave a context whose steps wait, while this loop serves."""
    await asyncio.to_thread(context.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@dataclass
class Fleet:
    """Two regions, and DNS in front of them."""

    asia: Region
    europe: Region
    servers: DnsServers

    async def answers(self) -> Counter[str]:
        """Ask for every block of Shanghai's clients."""
        return await asyncio.to_thread(self._answers)

    def _answers(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for network in CLIENTS:
            found.update(addresses(query(self.servers.port, MODEL, "A", subnet(network))))
        return found

    async def wait_for(self, is_right: Callable[[Counter[str]], bool]) -> Counter[str]:
        found: Counter[str] = Counter()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONG_SECONDS):
                while not is_right(found := await self.answers()):  # noqa: ASYNC110  # answers come by queries
                    await asyncio.sleep(0.2)
        assert is_right(found), found
        return found

    async def wait_until_out(self, *regions: str) -> None:
        wanted = [f'voxfleet_dns_region_admission_ratio{{region="{region}"}} 0.0' for region in regions]
        async with asyncio.timeout(LONG_SECONDS):
            while True:
                page = await self.metrics()
                if all(line in page for line in wanted):
                    return
                await asyncio.sleep(0.2)

    async def metrics(self) -> str:
        def fetch() -> str:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.servers.metrics_port}/metrics", timeout=20) as page:
                return str(page.read().decode())

        return await asyncio.to_thread(fetch)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(_dns_packages: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """The tests of this module change regions in turn; each leaves both up, and Asia may still ramp up."""
    tmp_path = tmp_path_factory.mktemp("dns")
    authority = make_authority("peers", dt.datetime.now(dt.UTC))
    port, metrics_port, *peer_ports = ports_for_later(4)
    asia = Region("asia", issue(tmp_path / "asia", authority, "asia"), peer_ports[0])
    europe = Region("europe", issue(tmp_path / "europe", authority, "europe"), peer_ports[1])
    zone = tmp_path / "zone.yaml"
    zone.write_text(f"""
zone: tts.example.com
nameServers: [{{name: ns.example.net}}]
defaultRegion: europe
regions:
- {{name: asia, addresses: [{ASIA}], location: {{latitude: 31.2, longitude: 121.5}}, gatewayURL: "https://{LOOPBACK}:{peer_ports[0]}"}}
- {{name: europe, addresses: [{EUROPE}], location: {{latitude: 50.1, longitude: 8.7}}, gatewayURL: "https://{LOOPBACK}:{peer_ports[1]}"}}
models: [{{name: vox}}]
""")
    options = {
        "location-database": str(write_location_database(tmp_path / "places.mmdb")),
        "peer-tls-folder": str(issue(tmp_path / "engine", authority, "asia")),
        "allowed-peer-networks": "127.0.0.0/8",
        "report-seconds": "0.3",
        "solve-seconds": "1",
        "explore-share": "0",
    }
    servers = DnsServers(tmp_path, zone, port, metrics_port, options)
    async with contextlib.AsyncExitStack() as stack:
        for region in (asia, europe):
            await region.start()
            stack.push_async_callback(region.stop)
        await stack.enter_async_context(in_thread(running(servers)))
        yield Fleet(asia, europe, servers)


async def test_clients_go_to_the_next_region_when_theirs_is_full_and_back(fleet: Fleet) -> None:
    await fleet.wait_for(lambda found: found == {ASIA: len(CLIENTS)})
    fleet.asia.rows, fleet.asia.open_requests = 10, 16  # twice what 80 % of 10 rows are
    await fleet.wait_for(lambda found: abs(found[EUROPE] - len(CLIENTS) / 2) <= len(CLIENTS) / 4)
    assert 'voxfleet_dns_fallback_models{fallback="none"} 1.0' in await fleet.metrics()
    fleet.asia.rows, fleet.asia.open_requests = 64, 0
    await fleet.wait_for(lambda found: found == {ASIA: len(CLIENTS)})


async def test_a_region_that_vanishes_gets_no_answers_and_returns(fleet: Fleet) -> None:
    await fleet.asia.stop()
    await fleet.wait_for(lambda found: found == {EUROPE: len(CLIENTS)})
    assert 'voxfleet_dns_region_admission_ratio{region="asia"} 0.0' in await fleet.metrics()
    await fleet.asia.start()
    await fleet.wait_for(lambda found: found[ASIA] > 0)


async def test_a_region_whose_report_cannot_be_used_is_out(fleet: Fleet) -> None:
    await fleet.wait_for(lambda found: found[ASIA] > 0)
    fleet.asia.fault = lambda: web.Response(status=500)
    await fleet.wait_for(lambda found: found == {EUROPE: len(CLIENTS)})
    fleet.asia.fault = None


async def test_a_leaf_explores_a_near_region_while_that_has_room(fleet: Fleet, tmp_path: Path) -> None:
    """With a share of 1 every leaf does, but for those that are too large."""
    await fleet.wait_for(lambda found: found[ASIA] > 0)
    port, metrics_port = ports_for_later(2)
    zone = tmp_path / "zone.yaml"  # the regions are near each other; the first is nearer to the clients
    zone.write_text(fleet.servers.zone_file.read_text().replace("latitude: 50.1, longitude: 8.7", AMSTERDAM, 1))
    zone.write_text(zone.read_text().replace("latitude: 31.2, longitude: 121.5", FRANKFURT, 1))
    options = {**fleet.servers.engine_options, "explore-share": "1"}
    exploring = replace(fleet, servers=DnsServers(tmp_path, zone, port, metrics_port, options))

    async def region_of(network: str) -> str:
        return str((await asyncio.to_thread(query, port, MODEL, "A", subnet(network))).answer[0][0].to_text())

    async def wait_for(network: str, region: str) -> None:
        async with asyncio.timeout(LONG_SECONDS):
            while await region_of(network) != region:  # noqa: ASYNC110  # answers come by queries
                await asyncio.sleep(0.2)

    async with in_thread(running(exploring.servers)):  # regions report meanwhile
        await wait_for(SMALL_LEAF, EUROPE)
        assert await region_of(LARGE_LEAF) == ASIA
        assert 'voxfleet_dns_answers_total{basis="explored",region="europe"}' in await exploring.metrics()
        fleet.europe.open_requests = 40  # of 64: no room to try it, and one region could carry them all
        await wait_for(SMALL_LEAF, ASIA)
        fleet.europe.open_requests = 0


async def test_when_no_region_reports_clients_still_get_answers(fleet: Fleet) -> None:
    """The engine's own network is the likeliest cause, so no region is taken for dead."""
    await fleet.asia.stop()
    await fleet.wait_for(lambda found: found == {EUROPE: len(CLIENTS)})
    await fleet.europe.stop()
    await fleet.wait_until_out("asia", "europe")
    # Of the last solution, which may have been found before or after the first region was out.
    found = await fleet.answers()
    assert found[ASIA] + found[EUROPE] == len(CLIENTS)
