"""Two gateway processes of two regions with certificates of one authority: what one cannot serve, the other does."""

import asyncio
import contextlib
import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from voxfleet_gateway.decisions.accounts.api_keys import hash_of
from voxfleet_gateway.tokens import gateway_token
from voxfleet_testbed.network.certificates import LIFETIME, Authority, Identity, make_authority

BUSY = {"free_rows": 0, "running_sequences": 4, "waiting_sequences": 50}
HEADERS = {"Authorization": "Bearer key", "X-Request-Id": "r-1", "Voxfleet-Client-Country": "DE"}
EU, US = "eu-central", "us-east"
HOP_SECONDS = 0.1  # each way


@dataclass
class Regions:
    """Both gateways, a pod of each, and the authority of their certificates."""

    stage: Any
    folder: Path
    authority: Authority
    eu: Any
    us: Any
    eu_pod: Any
    us_pod: Any

    def put_model(self, us_port: int | None = None, **fields: Any) -> None:
        ports = {EU: self.eu.ports["peers"], US: us_port or self.us.ports["peers"]}
        self.stage.put_model(
            [
                self.stage.region(name, local=False, gateway_url=f"https://127.0.0.1:{port}")
                for name, port in ports.items()
            ],
            **fields,
        )

    async def until_reported(self) -> None:
        """Wait until eu decides by a fresh report of an awake us."""
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while not await self._has_report(session):  # noqa: ASYNC110  # of another process
                await asyncio.sleep(0.1)

    async def _has_report(self, session: aiohttp.ClientSession) -> bool:
        text = f'voxfleet_gateway_peer_report_age_seconds{{peer="{US}"}}'
        metrics = await read_metrics(session, self.eu)
        return metrics.get(text, 1e9) < 5 and self.us_pod.polls > 0


async def read_metrics(session: aiohttp.ClientSession, gateway: Any) -> dict[str, float]:
    async with session.get(gateway.url("/metrics", "metrics")) as response:
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def issue(folder: Path, authority: Authority, region: str, *, is_expired: bool = False) -> Path:
    """Write a region's files, as the kubelet does: each replaced by another file."""
    made = folder / region
    made.mkdir(exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    begin = now - LIFETIME - dt.timedelta(hours=1) if is_expired else now
    pair = authority.issue(Identity(region, names=(region,)), begin)
    for name, data in {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pem()}.items():
        (made / "new").write_bytes(data)
        (made / "new").rename(made / name)
    return made


@pytest.fixture
async def regions(stage: Any, new_pod: Any, start_gateway: Any, tmp_path: Path) -> Regions:
    authority = make_authority("peers", dt.datetime.now(dt.UTC))
    keys = tmp_path / "keys"
    keys.mkdir()
    row = {"hash": hash_of("key"), "tenant": "acme", "created_at": "2026-11-30T00:00:00Z", "models": ["*"]}
    (keys / "k.json").write_text(json.dumps(row))
    pods = {EU: await new_pod(report=dict(BUSY), chunks=[b"RIFF", b"eu"]), US: await new_pod(chunks=[b"RIFF", b"us"])}
    for region, pod in pods.items():
        stage.put_lease(region)
        stage.put_pods(region, pod, ready=True)

    def start(region: str) -> Awaitable[Any]:
        return start_gateway(  # type: ignore[no-any-return]
            region,
            VOXFLEET_PEER_TLS_FOLDER=str(issue(tmp_path, authority, region)),
            VOXFLEET_PEER_PORT="0",
            VOXFLEET_PEER_POLL_SECONDS="0.5",
            VOXFLEET_ALLOWED_PEER_NETWORKS="127.0.0.0/8",
            VOXFLEET_KEYS_FOLDER=str(keys),
        )

    eu, us = await asyncio.gather(start(EU), start(US))
    made = Regions(stage, tmp_path, authority, eu, us, pods[EU], pods[US])
    made.put_model()
    await made.until_reported()
    return made


async def spoken_by(regions: Regions, speak: Any, region: str, route: str, **fields: Any) -> Any:
    """Speak at eu until the region serves by this route: reports take a moment."""
    async with asyncio.timeout(60):
        while True:
            answer = await speak(regions.eu, HEADERS, **fields)
            assert answer.status == 200, answer.body
            if answer.headers["Voxfleet-Region"] == region and answer.headers["Voxfleet-Route"] == route:
                return answer
            await asyncio.sleep(0.1)


async def test_a_full_region_spills_each_kind_of_request_once_and_its_tenant_is_billed_once(
    regions: Regions, speak: Any, session: aiohttp.ClientSession
) -> None:
    answer = await spoken_by(regions, speak, US, "spill-load")
    assert answer.body == b"RIFFus"
    head = regions.us_pod.headers_seen[-1]
    assert (head["X-Request-Id"], head["Voxfleet-Tenant"]) == ("r-1", "acme")
    assert "Authorization" not in head
    assert "Voxfleet-Hops" not in head
    await check_events_and_sessions(regions, speak, session)
    # us is busier than eu, and none of them is asleep: nothing goes to and fro.
    regions.us_pod.report = BUSY | {"waiting_sequences": 100_000}
    async with asyncio.timeout(60):
        while (await speak(regions.eu, HEADERS)).headers["Voxfleet-Region"] != EU:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await regions.eu.until(lambda: len(usage(regions.eu)) == len(regions.eu.records()), "a line of usage per request")
    assert usage(regions.us) == []
    assert all(each["route_request"]["client_country"] == "DE" for each in regions.us.records())
    assert all(each["route_request"]["hops_left"] == 0 for each in regions.us.records())
    assert {each["region"] for each in regions.us.records()} == {US}
    metrics = await read_metrics(session, regions.us)
    assert metrics[f'voxfleet_gateway_spills_received_total{{code="200",peer="{EU}"}}'] == len(regions.us.records())
    assert_replays([*regions.eu.lines, *regions.us.lines], regions.folder)


async def check_events_and_sessions(regions: Regions, speak: Any, session: aiohttp.ClientSession) -> None:
    """A stream of events and a WebSocket go through the peer as they are."""
    regions.us_pod.chunks = [b"data: {}\n\n", b"data: [DONE]\n\n"]
    events = await spoken_by(regions, speak, US, "spill-load", stream_format="sse")
    assert events.body == b"data: {}\n\ndata: [DONE]\n\n"
    url = regions.eu.url("/v1/audio/speech/stream")
    async with session.ws_connect(url, headers=HEADERS) as socket:
        await socket.send_json({"type": "session.start", "model": "voxcpm-1.5", "input": "Hello."})
        assert (await socket.receive_json(timeout=60))["type"] == "session.started"
        audio = [(await socket.receive(timeout=60)).data for _ in regions.us_pod.chunks]
        assert audio == regions.us_pod.chunks
        assert (await socket.receive_json(timeout=60))["type"] == "session.done"
        await socket.receive(timeout=60)
    head = regions.us_pod.headers_seen[-1]
    assert (head["Voxfleet-Tenant"], head["X-Request-Id"]) == ("acme", "r-1")


def usage(gateway: Any) -> list[dict[str, Any]]:
    """The lines that the tenant is billed by."""
    return [line for line in gateway.lines if line.get("event") == "usage"]


def assert_replays(lines: list[dict[str, Any]], folder: Path) -> None:
    """Every decision in the log is decided again to the same result, by the command for it."""
    log = folder / "requests.jsonl"
    log.write_text("\n".join(json.dumps(line) for line in lines))
    command = [sys.executable, "-m", "voxfleet_gateway", "replay", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


async def test_a_peer_that_is_killed_before_audio_costs_nothing_and_after_it_the_connection(
    regions: Regions, speak: Any, session: aiohttp.ClientSession
) -> None:
    await spoken_by(regions, speak, US, "spill-load")
    reached, release = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> None:
        reached.set()
        await release.wait()

    async def between(_number: int, request: web.Request) -> None:
        await wait(request)

    regions.us_pod.between_chunks = between
    async with session.post(
        regions.eu.url("/v1/audio/speech"), json={"model": "voxcpm-1.5", "input": "Hi."}, headers=HEADERS
    ) as cut:
        assert await cut.content.readany() == b"RIFF"
        await reached.wait()
        reached.clear()
        regions.us_pod.between_chunks, regions.us_pod.before_headers = None, wait
        speaking = asyncio.ensure_future(speak(regions.eu, HEADERS))
        await asyncio.wait_for(reached.wait(), 60)
        regions.us.process.send_signal(signal.SIGKILL)
        answer = await speaking
        with pytest.raises(aiohttp.ClientPayloadError):
            await cut.read()
    release.set()
    assert (answer.status, answer.body) == (200, b"RIFFeu")
    assert answer.headers["Voxfleet-Region"] == EU
    await regions.eu.until(
        lambda: any(line.get("event") == "peer_does_not_report" for line in regions.eu.lines), "the peer's silence"
    )
    assert (await speak(regions.eu, HEADERS)).body == b"RIFFeu", "a gone peer is not asked"


async def test_an_expired_certificate_ends_spills_until_it_is_renewed(
    regions: Regions, speak: Any, session: aiohttp.ClientSession
) -> None:
    await spoken_by(regions, speak, US, "spill-load")
    issue(regions.folder, regions.authority, US, is_expired=True)
    async with asyncio.timeout(90):
        while (await speak(regions.eu, HEADERS)).headers["Voxfleet-Region"] != EU:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    refused = await regions.us.until(
        lambda: [line for line in regions.us.lines if line.get("event") == "peer_certificate_refused"], "its own fault"
    )
    assert "expired" in refused[0]["error"]
    failures = f'voxfleet_gateway_peer_failures_total{{peer="{US}",reason="certificate"}}'
    async with asyncio.timeout(60):
        while not (await read_metrics(session, regions.eu)).get(failures):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    issue(regions.folder, regions.authority, US)
    async with asyncio.timeout(120):
        while (await speak(regions.eu, HEADERS)).headers["Voxfleet-Region"] != US:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


@asynccontextmanager
async def far_away(regions: Regions) -> AsyncIterator[None]:
    """Put us behind a long line: for a peer that is as near as loopback, no region of its own is woken."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(2**16):
                await asyncio.sleep(HOP_SECONDS)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", regions.us.ports["peers"])
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    regions.put_model(server.sockets[0].getsockname()[1])
    yield
    server.close()


async def test_a_sleeping_region_is_woken_while_another_cluster_serves(
    regions: Regions, speak: Any, meanwhile: Callable[[Awaitable[Any]], Any]
) -> None:
    async with far_away(regions):
        regions.stage.put_pods(EU)
        answer = await spoken_by(regions, speak, US, "spill-wake")
        assert answer.body == b"RIFFus"
        async with asyncio.timeout(60):
            while regions.stage.lease(EU)["spec"].get("renewTime") is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        # And when us sleeps too, the request is held here for the wake that has begun.
        regions.stage.put_pods(US)
        async with meanwhile(_until_held(regions, speak)) as held:
            regions.stage.put_pods(EU, regions.eu_pod, ready=True)
            regions.eu_pod.report = {}
            assert (await held).body == b"RIFFeu"


async def _until_held(regions: Regions, speak: Any) -> Any:
    while True:
        answer = await speak(regions.eu, HEADERS | {"Prefer": "wait=60"})
        if answer.headers["Voxfleet-Region"] == EU:
            return answer


async def test_a_client_that_one_region_measured_is_known_at_the_other(
    regions: Regions, session: aiohttp.ClientSession
) -> None:
    token = {"Authorization": f"Bearer {gateway_token('integration-key')}"}

    async def get(path: str, **query: str) -> Any:
        async with session.get(regions.eu.url(path, "internal"), params=query, headers=token) as response:
            assert response.status == 200
            return await response.json()

    async def rtt_source() -> str:
        """Where the round trips are from that eu would decide by about the client's next request."""
        decided = await get("/internal/explain", client="8.8.8.77", model="voxcpm-1.5")
        return str(decided["record"]["route_request"].get("rtt_source", "assumed"))

    assert (await rtt_source(), (await get("/internal/rtt"))["cells"]) == ("assumed", [])
    url, report = regions.us.url("/v1/rtt"), {"rtt_seconds": {US: 0.3, EU: 0.001}}
    async with session.post(url, json=report, headers=HEADERS | {"X-Forwarded-For": "8.8.8.77"}) as answer:
        assert answer.status == 204
    async with asyncio.timeout(60):
        while not (rows := (await get("/internal/rtt"))["cells"]):  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.1)
    # What DNS and eu's other gateways read: the round trip to us, and nothing that us says about eu.
    assert [(row["level"], row["key"], row["region"]) for row in rows] == [("prefix", ["8.8.8.0/24"], US)]
    assert await rtt_source() == "measured"
    assert "8.8.8." not in json.dumps([*regions.eu.lines, *regions.us.lines])
