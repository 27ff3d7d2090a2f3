"""Polls of a peer that reports, lies, is slow, shows a wrong certificate, or is gone."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from voxfleet_gateway.peers import poller
from voxfleet_gateway.peers.poller import PeerPolls
from voxfleet_gateway.telemetry import SPILLS


def failures(reason: str) -> float:
    labels = {"peer": "us", "reason": reason}
    return REGISTRY.get_sample_value("voxfleet_gateway_peer_failures_total", labels) or 0.0


def only_peer(eu: Any) -> Any:
    (peer,) = eu.gateway.peering.regions.keys_of
    return peer


async def test_reports_come_over_one_connection(fake_peer: Any, regions: Any) -> None:
    eu, peer = await fake_peer()
    ports = set()

    async def note(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response({"at": "2000-01-01T00:00:00Z"} | peer.report)  # refused, and the connection is kept

    await regions.until(lambda: eu.state("us").report.ready_pods == 1)
    peer.answer_poll = note
    await regions.until(lambda: len(peer.polls) > 5)
    assert len(ports) == 1
    assert 0 < eu.state("us").hop_seconds < 5


LIES: list[tuple[str, dict[str, Any]]] = [
    ("form", {"models": [{"namespace": "d", "name": "n", "rows": -1}]}),
    ("form", {"models": [{"namespace": "d", "name": "n", "free_requests": 10**30}]}),
    ("form", {"models": "all"}),
    ("region", {"region": "eu"}),
    ("clock", {"at": "2999-01-01T00:00:00Z"}),
    ("clock", {"at": "1999-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("reason", "lie"), LIES)
async def test_a_lie_is_refused_with_its_reason_and_the_peer_becomes_stale(
    reason: str, lie: dict[str, Any], fake_peer: Any, regions: Any
) -> None:
    eu, peer = await fake_peer()
    await regions.until(lambda: not eu.gateway.fleet.standing(eu.key).view.is_stale and eu.state("us").report.rows)
    before = failures(reason)
    peer.report |= lie
    await regions.until(lambda: failures(reason) > before)
    us = next(key for key in eu.gateway.fleet.regions if key.region == "us")
    await regions.until(lambda: eu.gateway.fleet.standing(us).view.is_stale)
    assert eu.state("us").report.rows == 32, "what was believed before stands"
    assert eu.gateway.fleet.standing(us).unable_by == "stale"


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65536)


async def _silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def _redirect(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://127.0.0.1/internal/region"})


async def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("reason", "answer"),
    [("size", _endless), ("timeout", _silent), ("status", _redirect), ("reset", _cut)],
)
async def test_what_is_no_report_ends_in_time(
    reason: str, answer: Any, fake_peer: Any, regions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "RESPONSE_SECONDS", 30.0 if reason == "size" else 1.0)
    eu, peer = await fake_peer()
    await regions.until(lambda: eu.state("us").report.rows)
    before = failures(reason)
    peer.answer_poll = answer
    await regions.until(lambda: failures(reason) > before)
    peer.answer_poll = None
    asked = eu.state("us").asked_seconds
    await regions.until(lambda: eu.state("us").asked_seconds > asked)  # it reports again


@pytest.mark.parametrize("options", [{"certificate": "ap"}, {"is_expired": True}])
async def test_a_wrong_certificate_is_no_peer(options: dict[str, Any], fake_peer: Any, regions: Any) -> None:
    before = failures("certificate")
    eu, peer = await fake_peer(**options)
    await regions.until(lambda: failures("certificate") > before)
    assert peer.polls == []
    assert "certificate" in eu.gateway.peering.poller.polls[only_peer(eu)].fault


async def test_the_age_of_reports_is_a_gauge(fake_peer: Any, regions: Any) -> None:
    def age() -> float | None:
        eu.gateway.refresh_gauges()
        return REGISTRY.get_sample_value("voxfleet_gateway_peer_report_age_seconds", {"peer": "us"})

    eu, _ = await fake_peer()
    assert age() == math.inf
    await regions.until(lambda: (age() or math.inf) < 30)
    eu.serve_model(ports=[])
    assert age() is None


async def test_a_peers_counters_begin_with_zero_and_end_with_it(fake_peer: Any) -> None:
    peer, names = {"peer": "us"}, (("spills", "reason", "nearest"), ("peer_failures", "reason", "form"))
    SPILLS.clear()

    def value(name: str, label: str, of: str) -> float | None:
        return REGISTRY.get_sample_value(f"voxfleet_gateway_{name}_total", peer | {label: of})

    eu, _ = await fake_peer()
    eu.gateway.refresh_gauges()
    assert [value(*each) is not None for each in names] == [True, True]
    assert value("spills", "reason", "hold-wake") == 0
    eu.serve_model(ports=[])
    eu.gateway.refresh_gauges()
    assert [value(*each) for each in names] == [None, None]


async def test_a_peer_that_leaves_the_registry_is_asked_no_longer(fake_peer: Any, regions: Any) -> None:
    eu, peer = await fake_peer()
    await regions.until(lambda: peer.polls)
    eu.serve_model(ports=[])
    assert eu.gateway.peering.poller.tasks == {}
    assert eu.gateway.peering.regions.known() == set()
    await asyncio.sleep(0.3)
    count = len(peer.polls)
    await asyncio.sleep(1.0)
    assert len(peer.polls) == count


@given(st.integers(0, 2000), st.floats(0.01, 120), st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_are_jittered(count: int, interval: float, draw: float) -> None:
    pause = PeerPolls(failures=count).pause_seconds(interval, draw)
    longest = max(interval, poller.LONGEST_PAUSE_SECONDS)
    assert 0.8 * min(interval, longest) - 1e-9 <= pause <= 1.2 * longest + 1e-9
    assert PeerPolls(failures=count + 1).pause_seconds(interval, draw) >= pause or count > 16


@pytest.fixture(autouse=True)
async def ended() -> AsyncIterator[None]:
    """Nothing that a test began is left behind."""
    before = asyncio.all_tasks()
    yield
    assert not {task for task in asyncio.all_tasks() - before if task.get_name().startswith("poll us")}
