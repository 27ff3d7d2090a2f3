"""Requests of one region that another one serves: two gateways over loopback, with real certificates."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from voxfleet_gateway.decisions import routing
from voxfleet_gateway.decisions.accounts.api_keys import hash_of
from voxfleet_gateway.decisions.pods import ejection
from voxfleet_gateway.peers.tls import PeerTls

FULL = {"report": {"free_rows": 0, "running_sequences": 64, "waiting_sequences": 500}}
TEXT = "\u4f60\u597d" * 2000  # 12,000 bytes, and 24,000 when it is escaped


def count(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"voxfleet_gateway_{metric}_total", labels) or 0.0


async def test_a_loaded_region_spills_and_its_client_reads_where_it_was_served(regions: Any, wire: Any) -> None:
    sent, received = count("spills", peer="us", reason="spill-load"), count("spills_received", peer="eu", code="200")
    served = count("requests", namespace="d", name="n", region="us", code="200", route="spill-load")
    eu, _ = await regions.pair([wire.speaking(b"of eu")], [wire.speaking(b"of us")], eu=FULL)
    answer, end = await wire.send(eu.port, wire.post(extra=b"X-Request-Id: r-1\r\n"))
    assert end == "EOF"
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"of us")
    assert b"Voxfleet-Region: us\r\n" in answer
    assert b"Voxfleet-Route: spill-load\r\n" in answer
    assert b"X-Request-Id: r-1\r\n" in answer
    assert answer.lower().count(b"voxfleet-region") == 1
    assert count("spills", peer="us", reason="spill-load") == sent + 1
    assert count("spills_received", peer="eu", code="200") == received + 1
    assert count("requests", namespace="d", name="n", region="us", code="200", route="spill-load") == served + 1


async def test_a_sleeping_region_spills_and_wakes_in_the_background(
    regions: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A region as near as another one over loopback would not be woken.
    monkeypatch.setattr(routing, "NEARER_SECONDS", 0.0)
    monkeypatch.setattr(routing, "NEARER_SHARE", 0.0)
    eu, us = await regions.pair([], [wire.speaking(b"of us")])
    # A region that is nearer by less than 30 ms is not woken, and this machine's loopback is shorter when it is idle.
    await eu.gateway.peering.poller.stop()
    eu.state("us").hop_seconds = 0.2
    eu.gateway.fleet.drop_view(us.key)
    answer, _ = await wire.send(eu.port, wire.post())
    assert answer.endswith(b"of us")
    assert b"Voxfleet-Route: spill-wake\r\n" in answer
    assert eu.gateway.fleet.regions[eu.key].traffic.waking_since_seconds is not None
    assert not us.gateway.fleet.regions[us.key].traffic.is_wake_requested


async def test_a_region_that_cannot_wake_has_the_request_held_where_it_can(regions: Any, wire: Any) -> None:
    eu, us = await regions.pair(
        [], [], entries={"eu": {"phase": "Failed", "message": "no image"}}, eu={"hold_seconds": 30}
    )
    sending = asyncio.create_task(wire.send(eu.port, wire.post(), 30.0))
    await regions.until(lambda: us.gateway.fleet.held(us.key) == 1)
    assert us.gateway.fleet.regions[us.key].traffic.waking_since_seconds is not None
    assert not eu.gateway.hold_queues.queues, "it is held once"
    server = await asyncio.start_server(wire.speaking(b"of us"), "127.0.0.1", 0)
    us.gateway.fleet.pods_behind = lambda _: _pods(server.sockets[0].getsockname()[1])
    us.gateway.fleet.refresh()
    answer, _ = await sending
    server.close()
    assert answer.endswith(b"of us")


def _pods(port: int) -> Any:
    from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint  # noqa: PLC0415

    return (PodEndpoint(PodAddress("127.0.0.1", port, 9), is_ready=True),)


async def test_what_the_first_gateway_knows_reaches_the_pod_and_nothing_else_does(
    regions: Any, wire: Any, tmp_path: Path
) -> None:
    heads: list[bytes] = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(wire.ok + b"Content-Length: 2\r\n\r\nok")
        writer.close()

    keys, limits = _keys(tmp_path / "keys"), {"concurrentRequests": 1, "audioSecondsPerMinute": 60}
    tenants = tmp_path / "tenants.json"
    tenants.write_text(json.dumps([{"name": "acme", "priority": 5} | limits]))
    keyed = {"keys_folder": str(keys), "tenants_file": str(tenants), "replicas": 1}
    eu, us = await regions.pair(
        [wire.speaking()], [pod], eu=FULL | keyed | {"voices_dir": str(tmp_path / "voices")}, us=keyed
    )
    usage: dict[str, list[str]] = {"eu": [], "us": []}
    for each in (eu, us):
        each.gateway.speech.accounts.usage.write_line = usage[each.name].append
    extra = b"Authorization: Bearer all\r\nVoxfleet-Client-Country: DE\r\n"
    extra += b"Voxfleet-Tenant: evil\r\nVoxfleet-Priority: 99\r\n"
    answer, _ = await wire.send(eu.port, wire.post(extra=extra))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"x-ratelimit-remaining-audio-seconds") == 1
    given = {line.split(b": ")[0]: line for line in heads[0].splitlines() if line.startswith(b"Voxfleet-")}
    assert given == {
        b"Voxfleet-Tenant": b"Voxfleet-Tenant: acme", b"Voxfleet-Priority": b"Voxfleet-Priority: 5"
    }  # fmt: skip
    assert [len(lines) for lines in usage.values()] == [1, 0], "billed once, by the gateway of the client"
    assert us.gateway.speech.accounts.uses == {}, "and counted against no limit there"
    assert eu.gateway.fleet.regions[eu.key].traffic.arrivals_by_country.keys() <= {"DE"}
    assert us.gateway.fleet.regions[us.key].traffic.arrivals.last_seconds is None, "the client arrived elsewhere"


def _keys(folder: Path) -> Path:
    folder.mkdir()
    row = {"hash": hash_of("all"), "tenant": "acme", "created_at": "2026-11-30T00:00:00Z", "models": ["*"]}
    (folder / "k.json").write_text(json.dumps(row))
    return folder


async def test_headers_of_peers_mean_nothing_on_the_public_port(regions: Any, wire: Any) -> None:
    eu, _ = await regions.pair([wire.speaking(b"of eu")], [])
    extra = b"Voxfleet-Tenant: acme\r\nVoxfleet-Hops: 2\r\nVoxfleet-May-Hold: false\r\nVoxfleet-Model: d/other\r\n"
    answer, _ = await wire.send(eu.port, wire.post(extra=extra))
    assert answer.endswith(b"of eu")


async def test_a_peer_that_is_full_by_then_is_left_to_others_until_it_reports(fake_peer: Any, wire: Any) -> None:
    async def full(_request: web.Request) -> web.Response:
        return web.json_response({"error": {}}, status=503, headers={"Retry-After": "1"})

    eu, peer = await fake_peer(wire.speaking(b"of eu"), **FULL)
    await _reported(eu)
    peer.answer_speech = full
    answer, _ = await wire.send(eu.port, wire.post())
    assert answer.endswith(b"of eu"), "its own pod is busy, and has room"
    assert len(peer.spilled) == 1
    assert float(peer.spilled[0]["Voxfleet-Deadline-Seconds"]) > 10
    assert peer.spilled[0]["Voxfleet-May-Hold"] == "false"


async def _reported(eu: Any) -> None:
    async with asyncio.timeout(30):
        while not eu.state("us").report.rows:  # noqa: ASYNC110  # set by polls
            await asyncio.sleep(0.02)


async def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _redirect(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://169.254.169.254/"})


async def _unknown_model(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {}}, status=404, headers={"Voxfleet-Refusal": "model_not_found"})


async def _broken(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def _silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        ("reset", _reset),
        ("invalid", _redirect),
        ("refused", _unknown_model),
        ("error_5xx", _broken),
        ("timeout", _silent),
    ],
)
async def test_a_peer_that_fails_before_audio_costs_its_client_nothing(
    failure: str, answer: Any, fake_peer: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ejection, "FIRST_BYTE_SECONDS", 1.0)
    eu, peer = await fake_peer(wire.speaking(b"of eu"), **FULL)
    await _reported(eu)
    peer.answer_speech = answer
    before = count("peer_failures", peer="us", reason=f"request_{failure}")
    received, _ = await wire.send(eu.port, wire.post(), 30.0)
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"of eu")
    assert b"Voxfleet-Region: eu\r\n" in received
    assert len(peer.spilled) == 1
    assert count("peer_failures", peer="us", reason=f"request_{failure}") == before + 1


async def test_a_request_that_a_peer_fails_is_held_for_the_own_region_s_wake(
    fake_peer: Any, wire: Any, regions: Any
) -> None:
    eu, peer = await fake_peer(hold_seconds=30)  # asleep
    await _reported(eu)
    peer.answer_speech, peer.answer_poll = _reset, _broken
    sending = asyncio.create_task(wire.send(eu.port, wire.post(), 60.0))
    await regions.until(lambda: eu.gateway.fleet.held(eu.key) == 1)
    assert len(peer.spilled) == 1
    server = await asyncio.start_server(wire.speaking(b"of eu"), "127.0.0.1", 0)
    eu.gateway.fleet.pods_behind = lambda _: _pods(server.sockets[0].getsockname()[1])
    eu.gateway.fleet.refresh()
    answer, _ = await sending
    server.close()
    assert answer.endswith(b"of eu")
    assert b"Voxfleet-Route: hold-wake\r\n" in answer


async def test_a_clients_own_mistake_is_passed_on(fake_peer: Any, wire: Any) -> None:
    async def wrong(_request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "of a pod there"}}, status=400)

    eu, peer = await fake_peer(wire.speaking(), **FULL)
    await _reported(eu)
    peer.answer_speech = wrong
    answer, _ = await wire.send(eu.port, wire.post())
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"of a pod there" in answer


async def test_a_peer_that_breaks_off_breaks_the_connection(fake_peer: Any, wire: Any) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        await response.prepare(request)
        await response.write(b"RIFFhalf")
        await asyncio.sleep(0.1)
        assert request.transport is not None
        request.transport.abort()
        return response

    eu, peer = await fake_peer(wire.speaking(), **FULL)
    await _reported(eu)
    peer.answer_speech = half
    answer, _ = await wire.send(eu.port, wire.post())
    assert b"RIFFhalf" in answer
    assert not answer.endswith(b"0\r\n\r\n"), "a cut response must not look complete"


async def test_requests_without_a_byte_leave_a_peer_that_stops_reporting(
    fake_peer: Any, wire: Any, regions: Any
) -> None:
    eu, peer = await fake_peer(wire.speaking(b"of eu"), **FULL)
    await _reported(eu)
    peer.answer_speech = _silent
    before = count("peer_failures", peer="us", reason="request_lost")
    sending = asyncio.create_task(wire.send(eu.port, wire.post(), 30.0))
    await regions.until(lambda: peer.spilled)
    peer.answer_poll = _broken
    answer, _ = await sending
    assert answer.endswith(b"of eu")
    assert count("peer_failures", peer="us", reason="request_lost") == before + 1


async def test_events_pass_through_a_peer_with_one_head_and_one_end(regions: Any, wire: Any) -> None:
    events = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\ndata: {"type":"speech.audio.done"}\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    pod = wire.pod(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(events), events), pause_seconds=0.2)
    eu, us = await regions.pair([wire.speaking()], [pod], eu=FULL)
    for each in (eu, us):
        each.gateway.speech.keep_alive_seconds = 0.01  # comments while it is waited for, of the first gateway only
    answer, end = await wire.send(eu.port, wire.post(b'{"model":"m","input":"hi","stream_format":"sse"}'))
    assert end == "EOF"
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"speech.audio.done") == 1
    assert answer.endswith(b"0\r\n\r\n")


async def test_a_client_that_leaves_ends_the_work_of_the_pod_there(regions: Any, wire: Any) -> None:
    gone = asyncio.Event()

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire.ok + b"Transfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\n")
        while await reader.read(65536):
            pass
        gone.set()
        writer.close()

    eu, us = await regions.pair([wire.speaking()], [pod], eu=FULL)
    reader, writer = await asyncio.open_connection("127.0.0.1", eu.port)
    writer.write(wire.post())
    await reader.readuntil(b"RIFF")
    assert eu.state("us").open_requests == 1
    assert eu.gateway.fleet.regions[us.key].traffic.open_requests == 0, "the peer counts it, once for the operator"
    assert us.gateway.fleet.regions[us.key].traffic.open_requests == 1
    writer.close()
    async with asyncio.timeout(30):
        await gone.wait()
    await regions.until(lambda: not eu.state("us").open_requests)


async def test_a_session_runs_through_a_peer(regions: Any, wire: Any) -> None:
    started: list[dict[str, Any]] = []
    heads: list[dict[str, str]] = []

    async def stream(request: web.Request) -> web.WebSocketResponse:
        heads.append(dict(request.headers))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        started.append(json.loads((await socket.receive()).data))
        await socket.send_str(json.dumps({"type": "session.started", "seed": 1, "sample_rate": 24000}))
        await socket.send_bytes(b"\0" * 960)
        assert json.loads((await socket.receive()).data)["type"] == "session.end"
        await socket.send_str(json.dumps({"type": "session.done", "usage": {}}))
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/audio/speech/stream", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    regions.stack.push_async_callback(runner.cleanup)
    small = {"max_message_bytes": 13_000}
    eu, us = await regions.pair([wire.speaking()], [], eu=FULL | small, us=small)
    us.gateway.fleet.pods_behind = lambda _: _pods(runner.addresses[0][1])
    us.gateway.fleet.refresh()
    await regions.until(lambda: eu.state("us").report.ready_pods)
    url = f"http://127.0.0.1:{eu.port}/v1/audio/speech/stream"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        start = {"type": "session.start", "model": "m", "voice": "v", "input": TEXT}
        await socket.send_str(json.dumps(start, ensure_ascii=False))
        assert (await socket.receive_json(timeout=30))["type"] == "session.started"
        assert (await socket.receive(timeout=30)).data == b"\0" * 960
        await socket.send_json({"type": "session.end"})
        assert (await socket.receive_json(timeout=30))["type"] == "session.done"
        assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1000
    assert (started[0]["model"], started[0]["input"]) == ("m", TEXT)
    assert "Voxfleet-Model" not in heads[0]


async def test_a_session_that_the_peer_would_have_to_hold_is_refused_in_its_handshake(regions: Any) -> None:
    _, us = await regions.pair([], [])
    tls = PeerTls.of(regions.folders.issue("eu"))
    url = f"{us.url}/v1/audio/speech/stream?model=d/n"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, ssl=tls.client, server_hostname="us", headers={"Voxfleet-May-Hold": "false"})
    assert refused.value.status == 503
    assert refused.value.headers is not None
    assert "Retry-After" in refused.value.headers
    assert us.gateway.fleet.regions[us.key].traffic.waking_since_seconds is None, "its sender wakes its own region"


async def test_a_session_whose_peer_is_gone_is_served_here(fake_peer: Any) -> None:
    async def stream(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(json.dumps({"type": "session.done", "usage": {}}))
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/audio/speech/stream", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    eu, _ = await fake_peer(**FULL)  # it knows no sessions: 404 without Voxfleet-Refusal
    await _reported(eu)
    eu.gateway.fleet.pods_behind = lambda _: _pods(runner.addresses[0][1])
    eu.gateway.fleet.refresh()
    eu.record_reports()
    url = f"http://127.0.0.1:{eu.port}/v1/audio/speech/stream"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json({"type": "session.start", "model": "m", "voice": "v", "input": "hi"})
        assert (await socket.receive_json(timeout=30))["type"] == "session.done"
    await runner.cleanup()


class Neighbour:
    """A client with a region's certificate that sends raw requests to a peer's port."""

    def __init__(self, regions: Any, region: str) -> None:
        self.tls = PeerTls.of(regions.folders.issue(region))

    async def send(self, port: int, data: bytes, server: str = "us") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self.tls.client, server_hostname=server)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()


def port_of(region: Any) -> int:
    return int(region.url.rpartition(":")[2])


async def test_a_second_hop_is_refused(regions: Any, wire: Any) -> None:
    eu, us = await regions.pair([wire.speaking(b"of eu")], [])
    neighbour = Neighbour(regions, "eu")
    twice = await neighbour.send(port_of(us), wire.post(extra=b"Voxfleet-Hops: 2\r\n"))
    assert twice.startswith(b"HTTP/1.1 400")
    assert b"Voxfleet-Refusal: invalid_spill" in twice
    assert not us.state("eu").is_stale(us.gateway.fleet.clock())
    for extra in (b"Voxfleet-Hops: 1\r\n", b""):
        asleep = await neighbour.send(port_of(us), wire.post(extra=extra))
        assert asleep.startswith(b"HTTP/1.1 503"), "us sleeps, and eu, which is awake, is no second hop"
        assert b"Retry-After" in asleep
    assert us.state("eu").sent == 0
    assert eu.name == "eu"


async def test_a_region_that_the_registry_does_not_name_is_refused(regions: Any, wire: Any) -> None:
    _, us = await regions.pair([], [wire.speaking()])
    for region in ("mars", "us"):  # of the same authority; and the gateway's own
        answer = await Neighbour(regions, region).send(port_of(us), wire.post())
        assert answer.startswith(b"HTTP/1.1 403"), region
        assert b"unknown_peer" in answer
        poll = await Neighbour(regions, region).send(
            port_of(us), b"GET /internal/region HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"
        )
        # The DNS engine polls its own region's gateway with that region's certificate.
        assert poll.startswith(b"HTTP/1.1 200" if region == us.name else b"HTTP/1.1 403"), region


async def test_without_a_certificate_no_request_is_read(regions: Any, wire: Any) -> None:
    _, us = await regions.pair([], [wire.speaking()])
    context = ssl.create_default_context(cafile=str(regions.folders.root / "us" / "ca.crt"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(us), ssl=context, server_hostname="us")
    writer.write(wire.post())
    try:
        answer = await asyncio.wait_for(reader.read(), 30)
    except (ssl.SSLError, ConnectionError):
        answer = b""
    assert answer == b""
    writer.close()


async def test_a_wake_for_a_region_behind_a_peer_is_asked_of_it(regions: Any, wire: Any) -> None:
    eu, us = await regions.pair([], [], entries={"eu": {"suspended": True}})
    answer, _ = await wire.send(eu.port, wire.post(path=b"/v1/models/d/n/wake", body=b""))
    assert answer.startswith(b"HTTP/1.1 202")
    await regions.until(lambda: us.gateway.fleet.regions[us.key].traffic.waking_since_seconds is not None)


async def test_the_end_of_a_drain_refuses_what_is_still_held_elsewhere(regions: Any, wire: Any) -> None:
    eu, us = await regions.pair(
        [],
        [],
        entries={"eu": {"suspended": True}},
        eu={"hold_seconds": 60, "drain_seconds": 2.5, "drain_grace_seconds": 0},
    )
    sending = asyncio.create_task(wire.send(eu.port, wire.post(), 60.0))
    await regions.until(lambda: us.gateway.fleet.held(us.key) == 1)
    await eu.gateway.drain()
    answer, _ = await sending
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in answer
    await regions.until(lambda: us.gateway.fleet.held(us.key) == 0)


async def test_a_request_that_is_handed_over_keeps_its_hop(regions: Any, wire: Any) -> None:
    """us holds a request of eu, and hands it over to its second gateway: that one must not spill it either."""
    _, us = await regions.pair([wire.speaking(b"of eu")], [], us={"drain_seconds": 30, "drain_grace_seconds": 0})
    second, _ = await regions.open("us", internal_key="us")
    rows = us.gateway.fleet.registry().resolve("m").regions
    second.serve_model(*rows, ports=[])
    await regions.until(lambda: second.state("eu").report.ready_pods == 1)
    us.gateway.dispatcher.handover.peers = lambda: [second.internal_address]
    extra = b"Voxfleet-Hops: 1\r\nVoxfleet-May-Hold: true\r\nVoxfleet-Deadline-Seconds: 4\r\nVoxfleet-Model: d/n\r\n"
    sending = asyncio.create_task(Neighbour(regions, "eu").send(port_of(us), wire.post(extra=extra)))
    await regions.until(lambda: us.gateway.fleet.held(us.key) == 1)
    draining = asyncio.create_task(us.gateway.drain())
    await regions.until(lambda: second.gateway.fleet.held(second.key) == 1)
    answer = await sending
    assert answer.startswith(b"HTTP/1.1 503"), "eu is awake, and would be a second hop"
    assert second.state("eu").sent == 0
    draining.cancel()
