"""Requests held by a gateway that shuts down are held and served by another one, and their clients notice nothing."""

import asyncio
import json
import socket
from collections import Counter
from typing import Any

import pytest
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, ReceivedReport
from voxfleet_gateway.gateway import Gateway
from voxfleet_gateway.telemetry import FIRST_BYTE, OVERHEAD, REFUSALS
from voxfleet_gateway.tokens import gateway_token

DRAINING = {"drain_seconds": 20.0, "drain_grace_seconds": 0.0}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def report(gateway: Gateway, key: Any, state: str) -> None:
    for address in gateway.fleet.regions[key].pods:
        row: Any = LoadReport(state=state, free_rows=64)  # type: ignore[arg-type]
        gateway.fleet.record_report(key, address, ReceivedReport(row, {}, gateway.fleet.clock()))


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Pair:
    """The gateway that shuts down, and the other one."""

    def __init__(self, wire: Any, old: tuple[int, Gateway], new: tuple[int, Gateway], internal_port: int) -> None:
        self.wire, (self.port, self.old), (_, self.new) = wire, old, new
        self.old.dispatcher.handover.peers = lambda: [PodAddress("127.0.0.1", 1, internal_port)]
        for gateway in (self.old, self.new):
            report(gateway, wire.key, "loading")

    def ask(self, body: bytes = b'{"model":"m","input":"hi"}', extra: bytes = b"") -> Any:
        return asyncio.create_task(self.wire.send(self.port, self.wire.post(body, b"Prefer: wait=20\r\n" + extra), 30))

    def drain(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.old.drain())


@pytest.fixture
async def pair(wire: Any) -> Any:
    port = free_port()
    pod = wire.speaking(b"RIFFaudio")
    async with (
        wire.gateway(pod, settings=DRAINING, report={"state": "loading"}) as old,
        wire.gateway(pod, settings={"internal_port": port}, report={"state": "loading"}) as new,
    ):
        yield Pair(wire, old, new, port)


def observed() -> Counter[str]:
    """How many observations the histograms of responses have, of both gateways."""
    histograms = {"first_byte": FIRST_BYTE, "overhead": OVERHEAD}
    return Counter(
        {
            name: int(sample.value)
            for name, histogram in histograms.items()
            for family in histogram.collect()
            for sample in family.samples
            if sample.name.endswith("_count") and sample.labels.get("region", "eu") == "eu"
        }
    )


async def test_held_requests_are_served_by_the_other_gateway(pair: Pair) -> None:
    before = observed()
    asked = [pair.ask(extra=b"X-Request-Id: id-%d\r\n" % number) for number in range(20)]
    await until(lambda: pair.old.fleet.held(pair.wire.key) == 20)
    draining = pair.drain()
    await until(lambda: pair.new.fleet.held(pair.wire.key) == 20)
    assert pair.old.fleet.held(pair.wire.key) == 0
    assert not draining.done(), "its clients are connected here"
    report(pair.new, pair.wire.key, "ready")
    answers = [answer for answer, _ in await asyncio.gather(*asked)]
    await draining
    assert [status(answer) for answer in answers] == [200] * 20
    assert all(answer.endswith(b"RIFFaudio") for answer in answers)
    assert all(b"X-Request-Id: id-%d\r\n" % number in answer for number, answer in enumerate(answers))
    assert observed() - before == Counter({"first_byte": 20, "overhead": 20}), "by the client's gateway alone"


def refused() -> int:
    (family,) = REFUSALS.collect()
    return sum(int(sample.value) for sample in family.samples if sample.name.endswith("_total"))


async def test_what_the_other_gateway_refuses_is_counted_once(pair: Pair) -> None:
    before = refused()
    sent = pair.wire.send(pair.port, pair.wire.post(extra=b"Prefer: wait=2\r\n"), 30)
    asked = asyncio.create_task(sent)
    await until(lambda: pair.old.fleet.held(pair.wire.key))
    draining = pair.drain()
    answer, _ = await asked
    await draining
    assert status(answer) == 503
    assert b"region_waking" in answer
    assert refused() == before + 1


async def test_a_stream_that_breaks_off_at_the_other_gateway_has_one_error_event(wire: Any) -> None:
    port, before = free_port(), refused()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    pod = wire.pod(head + b"a\r\ndata: {}\n\n\r\n")
    async with (
        wire.gateway(pod, settings=DRAINING, report={"state": "loading"}) as old,
        wire.gateway(pod, settings={"internal_port": port}, report={"state": "loading"}) as new,
    ):
        pair = Pair(wire, old, new, port)
        asked = pair.ask(b'{"model":"m","input":"hi","stream_format":"sse"}')
        await until(lambda: pair.old.fleet.held(wire.key))
        draining = pair.drain()
        await until(lambda: pair.new.fleet.held(wire.key))
        report(pair.new, wire.key, "ready")
        answer, _ = await asked
        await draining
    assert answer.count(b"data: {}") == 1
    assert answer.count(b"event: error") == 1
    assert refused() == before + 1


async def test_events_go_on_on_the_clients_connection(pair: Pair) -> None:
    pair.old.speech.keep_alive_seconds = 0.1
    asked = pair.ask(b'{"model":"m","input":"hi","stream_format":"sse"}')
    await until(lambda: pair.old.fleet.held(pair.wire.key))
    draining = pair.drain()
    await until(lambda: pair.new.fleet.held(pair.wire.key))
    await asyncio.sleep(0.3)
    report(pair.new, pair.wire.key, "ready")
    answer, _ = await asked
    await draining
    assert answer.count(b": keep-alive") >= 2
    assert b"RIFFaudio" in answer
    assert b"event: error" not in answer


async def test_a_request_is_handed_over_once(pair: Pair) -> None:
    pair.new.dispatcher.handover.peers = lambda: [PodAddress("127.0.0.1", 1, 9)]
    pair.new.dispatcher.handover.is_active = True
    asked = pair.ask()
    await until(lambda: pair.old.fleet.held(pair.wire.key))
    draining = pair.drain()
    await until(lambda: pair.new.fleet.held(pair.wire.key))
    report(pair.new, pair.wire.key, "ready")
    assert status((await asked)[0]) == 200
    await draining


async def test_what_cannot_be_handed_over_is_held_here_and_refused_at_the_end(pair: Pair) -> None:
    pair.old.dispatcher.handover.peers = lambda: [PodAddress("127.0.0.1", 1, free_port())]  # nothing listens
    pair.old.settings = pair.old.settings.model_copy(update={"drain_seconds": 3.0})
    served = pair.ask()
    await until(lambda: pair.old.fleet.held(pair.wire.key))
    draining = pair.drain()
    await until(lambda: pair.old.dispatcher.handover.is_active and pair.old.fleet.held(pair.wire.key))
    report(pair.old, pair.wire.key, "ready")
    assert status((await served)[0]) == 200
    report(pair.old, pair.wire.key, "loading")
    answer, _ = await pair.ask()
    await draining
    assert (status(answer), b"gateway_draining" in answer, b"Retry-After: 1" in answer) == (503, True, True)


async def test_the_end_of_the_drain_ends_what_is_still_held_elsewhere(pair: Pair) -> None:
    pair.old.settings = pair.old.settings.model_copy(update={"drain_seconds": 2.5})
    asked = pair.ask()
    await until(lambda: pair.old.fleet.held(pair.wire.key))
    draining = pair.drain()
    await until(lambda: pair.new.fleet.held(pair.wire.key))
    answer, _ = await asked
    assert (status(answer), b"gateway_draining" in answer) == (503, True)
    await draining
    await until(lambda: not pair.new.fleet.held(pair.wire.key))


async def test_a_client_that_leaves_frees_its_place_at_the_other_gateway(pair: Pair) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", pair.port)
    writer.write(pair.wire.post(extra=b"Prefer: wait=20\r\n"))
    await until(lambda: pair.old.fleet.held(pair.wire.key))
    draining = pair.drain()
    await until(lambda: pair.new.fleet.held(pair.wire.key))
    writer.close()
    await until(lambda: not pair.new.fleet.held(pair.wire.key))
    await draining


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "invalid_token"),
        ({"Authorization": "Bearer wrong"}, "invalid_token"),
        ({"Authorization": f"Bearer {gateway_token('x')}"}, "invalid_value"),
        ({"Authorization": f"Bearer {gateway_token('x')}", "Voxfleet-Hold-Seconds": "soon"}, "invalid_value"),
    ],
)
async def test_only_another_gateway_may_hand_over(wire: Any, headers: dict[str, str], code: str) -> None:
    port = free_port()
    async with wire.gateway(settings={"internal_port": port}):
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        answer, _ = await wire.send(port, wire.post(extra=lines, path=b"/internal/handover"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == code


async def test_a_request_is_limited_and_billed_by_the_gateway_that_its_client_called(wire: Any, keyed: Any) -> None:
    port = free_port()
    pod = wire.speaking(b"\0" * 48_000)
    limits = {"wakesPerHour": 1, "concurrentRequests": 1, "audioSecondsPerMinute": 10}
    async with (
        keyed(pod, settings=DRAINING, keep_reporting=False, report={"state": "loading"}, limits=limits) as old,
        keyed(
            pod,
            settings={"internal_port": port},
            keep_reporting=False,
            report={"state": "loading"},
            limits=limits,
        ) as new,
    ):
        pair = Pair(wire, (old.port, old.gateway), (new.port, new.gateway), port)
        for address in [*new.gateway.fleet.regions[wire.key].pods]:
            new.gateway.fleet.regions[wire.key].pods.pop(address)  # it is asleep: holding it there wakes it
        asked = pair.ask(b'{"model":"m","input":"hi","response_format":"pcm"}', b"Authorization: Bearer all\r\n")
        await until(lambda: old.gateway.fleet.held(wire.key))
        draining = pair.drain()
        await until(lambda: new.gateway.fleet.held(wire.key))
        assert new.gateway.fleet.regions[wire.key].traffic.is_wake_requested
        assert "acme" not in new.gateway.speech.accounts.uses, "no limit counts it twice"
        new.gateway.fleet.refresh()
        report(new.gateway, wire.key, "ready")
        answer, _ = await asked
        await draining
        assert status(answer) == 200
        assert new.lines == []
        (line,) = old.lines
        use = old.gateway.speech.accounts.uses["acme"]
        assert use.audio.used(old.gateway.speech.accounts.clock()) == pytest.approx(1.0)
    assert (line["tenant"], line["audio_seconds"], line["status"], line["model"]) == ("acme", 1.0, 200, "d/n")


async def test_a_handed_over_request_may_fetch_its_tenant_s_voices(wire: Any, tmp_path: Any) -> None:
    seen: list[bytes] = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(wire.ok + b"Content-Length: 2\r\n\r\nok")
        writer.close()

    port = free_port()
    async with (
        wire.gateway(pod, settings=DRAINING | {"voices_dir": str(tmp_path / "a")}, report={"state": "loading"}) as old,
        wire.gateway(
            pod, settings={"internal_port": port, "voices_dir": str(tmp_path / "b")}, report={"state": "loading"}
        ) as new,
    ):
        pair = Pair(wire, old, new, port)
        asked = pair.ask()
        await until(lambda: pair.old.fleet.held(wire.key))
        draining = pair.drain()
        await until(lambda: pair.new.fleet.held(wire.key))
        report(pair.new, wire.key, "ready")
        assert status((await asked)[0]) == 200
        await draining
    assert b"\r\nVoxfleet-Voice-Token: " in seen[0]
