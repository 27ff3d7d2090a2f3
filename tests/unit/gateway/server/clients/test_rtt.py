"""Reports of round trips, what they change, and how gateways exchange what they have learned."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.decisions.location.client_place import ClientPlace
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.location import rtt_store
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.location.rtt_sync import RTT_PATH
from voxfleet_gateway.serving import listening
from voxfleet_gateway.tokens import gateway_token

PROXIED = b"X-Forwarded-For: 8.8.8.8\r\n"
CLIENT = ClientPlace(ClientNetwork("8.8.8.0/24"))


def report(wire: Any, body: bytes, extra: bytes = PROXIED) -> bytes:
    sent: bytes = wire.post(body, extra, path=b"/v1/rtt")
    return sent


def estimate(gateway: Any, client: ClientPlace = CLIENT) -> float:
    (seconds,), _ = gateway.clients.rtt.store.round_trips(client, (("eu", None),), "eu")
    return float(seconds)


async def test_a_report_changes_its_own_prefix_alone(wire: Any) -> None:
    async with wire.gateway() as (port, gateway):
        before = estimate(gateway)
        answer, _ = await wire.send(port, report(wire, b'{"rtt_seconds": {"eu": 0.09, "nowhere": 0.01}}'))
        assert answer.startswith(b"HTTP/1.1 204")
        assert estimate(gateway) > before * 2
        assert estimate(gateway, ClientPlace(ClientNetwork("9.9.9.0/24"))) == before
        levels = gateway.clients.rtt.store.model.levels
        assert {level: len(groups.cells) for level, groups in levels.items()} == {
            "prefix": 1,
            "asn": 0,
            "area": 0,
            "country": 0,
        }
        (cells,) = levels["prefix"].cells.values()
        assert cells.keys() == {"eu"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", b"400"),
        (b"[", b"400"),
        (b"[" * 4000, b"400"),
        (b'{"rtt_seconds": {"eu": -1}}', b"400"),
        (b'{"rtt_seconds": {"eu": 0}}', b"400"),
        (b'{"rtt_seconds": {"eu": NaN}}', b"400"),
        (b'{"rtt_seconds": {"eu": 1e999}}', b"400"),
        (b'{"rtt_seconds": {"eu": "soon"}}', b"400"),
        (b'{"rtt_seconds": {"eu": 0.1}, "address": "8.8.8.8"}', b"400"),
        (json.dumps({"rtt_seconds": {f"r{index}": 0.1 for index in range(33)}}).encode(), b"400"),
        (b" " * 4097, b"413"),
    ],
)
async def test_what_is_no_report_is_refused(wire: Any, body: bytes, status: bytes) -> None:
    async with wire.gateway() as (port, gateway):
        answer, _ = await wire.send(port, report(wire, body))
        assert answer.split()[1] == status
        assert not gateway.clients.rtt.store.model.levels["prefix"].cells


async def test_a_page_of_another_site_cannot_report(wire: Any) -> None:
    async with wire.gateway() as (port, _):
        evil = PROXIED + b"Origin: https://evil.example\r\n"
        answer, _ = await wire.send(port, report(wire, b'{"rtt_seconds": {"eu": 0.1}}', evil))
        assert answer.split()[1] == b"403"


async def test_reports_beyond_the_limit_are_refused(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtt_store, "REPORTS_PER_SECOND", 0)
    async with wire.gateway() as (port, _):
        answer, _ = await wire.send(port, report(wire, b'{"rtt_seconds": {"eu": 0.1}}'))
    assert answer.split()[1] == b"429"
    assert b"Retry-After: 1\r\n" in answer


def test_the_limit_counts_again_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    store, clock = RttStore("eu", lambda: {"eu": None}), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(rtt_store, "REPORTS_PER_SECOND", 2)
    assert [store.reported(CLIENT, {"eu": 0.1}) for _ in range(3)] == [True, True, False]
    clock[0] += 1
    assert store.reported(CLIENT, {"eu": 0.1})


async def test_the_page_may_measure_the_gateways_of_its_models(wire: Any) -> None:
    async with wire.gateway(gateway_url="https://eu.example.com/tts") as (port, _):
        get = b"GET %s HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"
        listed, _ = await wire.send(port, get % b"/v1/rtt")
        page, _ = await wire.send(port, get % b"/")
    assert json.loads(listed.partition(b"\r\n\r\n")[2]) == {"regions": {"eu": "https://eu.example.com/tts"}}
    assert b"connect-src 'self' https://eu.example.com; " in page
    assert b"&quot;gatewayUrls&quot;: {&quot;eu&quot;: &quot;https://eu.example.com/tts&quot;}" in page


async def test_a_gateway_url_cannot_change_the_pages_policy(wire: Any) -> None:
    async with wire.gateway(gateway_url="https://a;script-src *") as (port, _):
        page, _ = await wire.send(port, b"GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
    assert b"connect-src 'self'; img-src" in page
    assert b"&quot;gatewayUrls&quot;: {}" in page


async def test_a_restarted_gateway_gets_its_round_trips_from_another(wire: Any) -> None:
    async with wire.gateway() as (port, sister), listening(sister) as ports:
        await wire.send(port, report(wire, b'{"rtt_seconds": {"eu": 0.09}}'))
        peer = f"127.0.0.1:{ports['internal']}"
        async with wire.gateway(settings={"voice_peers": peer}) as (_, restarted):
            assert estimate(restarted) != estimate(sister)
            await restarted.clients.sync.fetch_all()
            assert estimate(restarted) == estimate(sister)
            assert restarted.clients.sync.seen == {f"http://{peer}{RTT_PATH}"}
            await restarted.clients.sync.fetch_all()  # what is new only, and nothing counts twice
            assert estimate(restarted) == estimate(sister)


async def test_a_peer_that_is_away_or_talks_nonsense_changes_nothing(wire: Any) -> None:
    nonsense = wire.pod(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
    endless = wire.pod(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"100000\r\n" + b" " * 2**20 + b"\r\n"] * 5
    )
    servers = [await asyncio.start_server(pod, "127.0.0.1", 0) for pod in (nonsense, endless)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    async with wire.gateway() as (_, gateway):
        gateway.clients.sync.peers = lambda: [f"http://127.0.0.1:{port}/" for port in (*ports, 1)]
        await gateway.clients.sync.fetch_all()
        assert gateway.clients.sync.seen == set()
    for server in servers:
        server.close()


async def test_the_exchange_needs_the_gateways_token(wire: Any) -> None:
    async with wire.gateway() as (_, gateway), listening(gateway) as ports, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{ports['internal']}{RTT_PATH}"
        for token, status in (("", 401), ("wrong", 401), (gateway_token("x"), 200)):
            async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == status
