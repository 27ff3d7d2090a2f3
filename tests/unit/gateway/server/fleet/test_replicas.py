"""Two gateways of one region: either one's page counts what both hold, and shows what both decided."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from prometheus_client import REGISTRY
from voxfleet_gateway.decisions.fleet.replica_reports import FRESH_SECONDS, ReplicaReport
from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.server.fleet import replicas
from voxfleet_gateway.server.fleet.replicas import POLL_SECONDS, REPLICA_PATH, GatewayReplicas
from voxfleet_gateway.tokens import gateway_token

HELD = b"Prefer: wait=30\r\n"


@asynccontextmanager
async def two(wire: Any) -> AsyncIterator[tuple[int, Any, int, Any]]:
    """Yield the ports and the gateways of one region, which know one another."""
    ports = wire.free_port(), wire.free_port()
    names = ("gateway-a", "gateway-b")
    given = [{"internal_port": port, "pod_name": name} for port, name in zip(ports, names, strict=True)]
    async with (
        wire.gateway(settings=given[0]) as (port, gateway),
        wire.gateway(settings=given[1]) as (other_port, other),
    ):
        gateway.fleet_page.replicas.others = lambda: [PodAddress("127.0.0.1", 0, ports[1])]
        other.fleet_page.replicas.others = lambda: [PodAddress("127.0.0.1", 0, ports[0])]
        yield port, gateway, other_port, other


@asynccontextmanager
async def replica(body: str | dict[str, Any]) -> AsyncIterator[PodAddress]:
    """Yield the address of a gateway that answers with this body."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body if isinstance(body, str) else json.dumps(body), content_type="application/json")

    app = web.Application()
    app.router.add_get(REPLICA_PATH, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield PodAddress("127.0.0.1", 0, runner.addresses[0][1])
    await runner.cleanup()


async def test_held_requests_and_decisions_are_those_of_both(wire: Any, call: Any, fleet_stream: Any) -> None:
    async with two(wire) as (port, _, other_port, _), fleet_stream(port) as stream:
        _, first = await stream.next()
        assert [(row["held_requests"], row["silent_gateways"]) for row in first["regions"]] == [(0, 0)]
        asking = [
            asyncio.create_task(wire.send(at, wire.post(extra=HELD), wait=60)) for at in (port, other_port, other_port)
        ]
        seen = await stream.until(lambda data: data["regions"] and data["regions"][0]["held_requests"] == 3)
        assert seen["regions"][0]["silent_gateways"] == 0
        for at in (port, other_port):
            body = (await call(at, "/v1/fleet"))[1]
            assert body["regions"][0]["held_requests"] == 3
            found = [(each["gateway"], each["route"]) for each in body["decisions"]]
            assert sorted(found) == [("gateway-a", "hold-wake"), *[("gateway-b", "hold-wake")] * 2]
            assert len({each["id"] for each in body["decisions"]}) == 3
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_gateway_that_does_not_answer_is_said_and_not_counted_as_zero(
    wire: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "FETCH_SECONDS", 0.2)
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port_of_silent = server.sockets[0].getsockname()[1]
    async with wire.gateway() as (port, gateway):
        gateway.fleet_page.replicas.others = lambda: [
            PodAddress("127.0.0.1", 0, port_of_silent),
            PodAddress("127.0.0.1", 0, wire.free_port()),
        ]
        row = (await call(port, "/v1/fleet"))[1]["regions"][0]
        assert (row["held_requests"], row["silent_gateways"]) == (0, 2)
    server.close()


async def test_decisions_are_asked_for_by_pages_only_and_each_once(wire: Any) -> None:
    async with two(wire) as (port, gateway, _, other):
        await wire.send(port, wire.post(extra=b"Prefer: wait=0\r\n"))
        asking = other.fleet_page.replicas
        received: list[Any] = []
        asking.on_decisions = received.extend
        asking.begin(has_decisions=False)
        assert asking.asking is not None
        await asyncio.wait([asking.asking])
        assert (received, asking.held().silent) == ([], 0)
        await asking.refresh()
        assert [each.gateway for each in received] == ["gateway-a"]
        asking.asked[True] = -math.inf
        await asking.refresh()
        assert len(received) == 1
        number = asking.reports.number(asking.others()[0])
        gateway.fleet_page.handler.feed.recent.number = number - 1  # as of a process that has begun anew
        assert len(gateway.fleet_page.handler.feed.own_decisions(number)) == 1


async def test_a_report_needs_the_gateways_token(wire: Any) -> None:
    internal = wire.free_port()
    async with wire.gateway(settings={"internal_port": internal}), aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{internal}{REPLICA_PATH}"
        async with session.get(url) as refused:
            assert refused.status == 401
        async with session.get(url, headers={"Authorization": f"Bearer {gateway_token('x')}"}) as answered:
            assert (await answered.json())["held"] == []


@pytest.mark.parametrize("body", ["no JSON", '{"held": [{}]}', '{"decisions": {}}', '{"held": "%s"}' % ("x" * 2**23)])
async def test_what_is_no_report_counts_as_silence(body: str) -> None:
    async with replica(body) as address, aiohttp.ClientSession() as session:
        asking = GatewayReplicas(session, lambda: [address], "token")
        await asking.refresh()
        assert (asking.held().silent, asking.held().others) == (1, 1)


async def test_a_decision_that_is_not_understood_is_left_out_and_counted(wire: Any) -> None:
    async with wire.gateway() as (port, gateway):
        await wire.send(port, wire.post(extra=b"Prefer: wait=0\r\n"))
        (good,) = gateway.fleet_page.handler.feed.own_decisions(0)
    row = good.model_dump(mode="json")
    held = [{"namespace": "d", "name": "n", "region": "eu", "held_requests": 2}]
    body = {"gateway": "gateway-b", "number": 4, "held": held, "decisions": [{**row, "action": "dance"}, "x", row]}
    received: list[Any] = []
    before = _unreadable()
    async with replica(body) as address, aiohttp.ClientSession() as session:
        asking = GatewayReplicas(session, lambda: [address], "token")
        asking.on_decisions = received.extend
        with structlog.testing.capture_logs() as logged:
            await asking.refresh()
        assert (asking.held().silent, asking.held().of(wire.key)) == (0, 2)
        assert asking.reports.number(address) == 4, "the next question asks for later ones"
    assert received == [good]
    assert _unreadable() - before == 2
    assert [(each["gateway"], each["field"]) for each in logged] == [("gateway-b", "action"), ("gateway-b", "")]


def _unreadable() -> float:
    return REGISTRY.get_sample_value("voxfleet_gateway_unreadable_decisions_total") or 0.0


async def test_silence_is_passed_on_also_when_a_row_was_made_between(wire: Any) -> None:
    now, changed, silences = [0.0], [], []
    address = PodAddress("127.0.0.1", 0, wire.free_port())
    held = [{"namespace": "d", "name": "n", "region": "eu", "held_requests": 2}]
    async with aiohttp.ClientSession() as session:
        asking = GatewayReplicas(session, lambda: [address], "token", clock=lambda: now[0])
        asking.on_change, asking.on_silence = changed.extend, lambda: silences.append(now[0])
        asking.reports.record(address, ReplicaReport.model_validate({"held": held}), 0.0)
        await asking.refresh()
        assert (changed, silences) == ([wire.key], [])
        now[0] = FRESH_SECONDS + 1
        assert asking.held().silent == 1  # as a row that changes for another cause is made
        await asking.refresh()
        assert (changed, silences) == ([wire.key] * 2, [now[0]])
        now[0] += POLL_SECONDS
        await asking.refresh()
        assert (len(changed), len(silences)) == (2, 1), "once"


async def test_what_the_last_other_gateway_held_leaves_the_rows_with_it(wire: Any) -> None:
    changed, silences = [], []
    others = [PodAddress("127.0.0.1", 0, wire.free_port())]
    held = [{"namespace": "d", "name": "n", "region": "eu", "held_requests": 2}]
    async with aiohttp.ClientSession() as session:
        asking = GatewayReplicas(session, lambda: others, "token", clock=lambda: 0.0)
        asking.on_change, asking.on_silence = changed.extend, lambda: silences.append(asking.held().silent)
        asking.reports.record(others[0], ReplicaReport.model_validate({"held": held}), 0.0)
        await asking.refresh()
        others[:] = []
        for _ in range(2):
            asking.begin()
        assert (changed, silences, asking.held().of(wire.key)) == ([wire.key] * 2, [], 0)


async def test_a_silent_gateway_that_leaves_is_no_longer_said(wire: Any) -> None:
    silences: list[int] = []
    others = [PodAddress("127.0.0.1", 0, wire.free_port())]
    async with aiohttp.ClientSession() as session:
        asking = GatewayReplicas(session, lambda: others, "token")
        asking.on_silence = lambda: silences.append(asking.held().silent)
        await asking.refresh()
        others[:] = []
        asking.begin()
        assert silences == [1, 0]
