"""What happens once is counted once: served, held, refused, left, ejected; and names follow Prometheus' conventions."""

import asyncio
import re
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from prometheus_client import REGISTRY, generate_latest
from voxfleet_gateway import serving, telemetry
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.serving import metrics_app

REGION = {"namespace": "d", "name": "n", "region": "eu"}
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def value(name: str, /, **labels: str) -> float:
    """The sum of a metric's samples with these labels; of a histogram, give its name with _count or _sum."""
    samples = (sample for family in REGISTRY.collect() for sample in family.samples)
    named = (sample for sample in samples if sample.name == f"voxfleet_gateway_{name}")
    return sum(sample.value for sample in named if labels.items() <= sample.labels.items())


class Changes:
    """How much metrics have changed since this was made."""

    def __init__(self, *names: str) -> None:
        self.before = {name: value(name) for name in names}

    def __call__(self) -> dict[str, float]:
        return {name: value(name) - before for name, before in self.before.items()}


async def test_a_served_request_is_observed_once(wire: Any) -> None:
    changes = Changes(
        "requests_total",
        "first_byte_seconds_count",
        "overhead_seconds_count",
        "decision_seconds_count",
        "held_seconds_count",
        "refusals_total",
    )
    async with wire.gateway(wire.speaking()) as (port, _):
        await wire.send(port, wire.post())
    assert changes() == {
        "requests_total": 1,
        "first_byte_seconds_count": 1,
        "overhead_seconds_count": 1,
        "decision_seconds_count": 1,
        "held_seconds_count": 0,
        "refusals_total": 0,
    }


async def test_overhead_leaves_out_what_others_take(wire: Any) -> None:
    changes = Changes("overhead_seconds_sum", "first_byte_seconds_sum")

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.5)
        writer.write(wire.ok + b"Content-Length: 2\r\n\r\nhi")

    async with wire.gateway(slow) as (port, _):
        await wire.send(port, wire.post())
    assert changes()["first_byte_seconds_sum"] >= 1.5
    assert changes()["overhead_seconds_sum"] < 1.0


@pytest.mark.parametrize("seconds", [b"0", b"1"])
async def test_a_held_request_is_observed_once_with_its_refusal(wire: Any, seconds: bytes) -> None:
    changes = Changes("held_seconds_count", "refusals_total", "requests_total")
    before = value("refusals_total", reason="region_waking", **REGION)
    async with wire.gateway() as (port, _):
        await wire.send(port, wire.post(extra=b"Prefer: wait=%s\r\n" % seconds))
    assert changes() == {"held_seconds_count": 1, "refusals_total": 1, "requests_total": 1}
    assert value("refusals_total", reason="region_waking", **REGION) == before + 1


async def test_a_request_without_a_place_is_not_held(wire: Any) -> None:
    changes = Changes("held_seconds_count", "refusals_total")
    before = value("refusals_total", reason="too_many_waiting", **REGION)
    long = b'{"model":"m","input":"%s"}' % (b"hello " * 100)
    async with wire.gateway(settings={"max_held_audio_seconds": 1}) as (port, _):
        await wire.send(port, wire.post(long))
    assert changes() == {"held_seconds_count": 0, "refusals_total": 1}
    assert value("refusals_total", reason="too_many_waiting", **REGION) == before + 1


async def test_a_request_whose_client_leaves_is_held_once_and_not_refused(wire: Any) -> None:
    changes = Changes("held_seconds_count", "refusals_total", "requests_total")
    async with wire.gateway() as (port, gateway):
        await wire.send(port, wire.post(), wait=0.5)
        async with asyncio.timeout(20):
            while changes()["requests_total"] < 1:  # noqa: ASYNC110  # a counter, not an event
                await asyncio.sleep(0.01)
        assert not gateway.hold_queues.queues
    assert changes() == {"held_seconds_count": 1, "refusals_total": 0, "requests_total": 1}
    assert value("requests_total", code="499", **REGION) >= 1


async def test_an_error_event_of_a_begun_stream_is_a_refusal(wire: Any) -> None:
    changes = Changes("refusals_total")
    body = b'{"model":"m","input":"hi","stream_format":"sse"}'
    async with wire.gateway() as (port, gateway):
        gateway.speech.keep_alive_seconds = 0.05
        received, _ = await wire.send(port, wire.post(body, extra=b"Prefer: wait=1\r\n"))
    assert b"event: error" in received
    assert changes() == {"refusals_total": 1}


async def test_what_a_pod_refuses_is_no_refusal_of_the_gateway(wire: Any) -> None:
    changes = Changes("refusals_total", "requests_total")
    bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"
    async with wire.gateway(wire.pod(bad)) as (port, _):
        await wire.send(port, wire.post())
    assert changes() == {"refusals_total": 0, "requests_total": 1}


async def test_an_ejection_is_counted_once_and_shown_while_it_lasts(wire: Any) -> None:
    changes = Changes("ejections_total")
    async with wire.gateway(wire.pod(BROKEN), wire.speaking()) as (_, gateway):
        region = gateway.fleet.regions[wire.key]
        failing = next(iter(region.pods.values()))
        for _ in range(2):
            gateway.fleet.record_failure(wire.key, failing, UpstreamFailure.ERROR_5XX)
        gateway.refresh_gauges()
        assert changes() == {"ejections_total": 1}
        assert value("ejected_pods", **REGION) == 1
        assert value("servable_pods", **REGION) == 1
        assert value("open_circuits", **REGION) == 0
        failing.ejection.until_seconds = 0.0
        gateway.refresh_gauges()
        assert value("ejected_pods", **REGION) == 0


async def test_gauges_follow_what_is_held(wire: Any) -> None:
    async with wire.gateway(rules={"max_held_requests": 10}) as (port, gateway):
        gateway.refresh_gauges()
        free = value("free_hold_places", namespace="d", name="n")
        waiting = asyncio.create_task(wire.send(port, wire.post(), wait=5.0))
        async with asyncio.timeout(20):
            while not value("held_requests", **REGION):  # noqa: ASYNC110  # a gauge, not an event
                await asyncio.sleep(0.01)
        gateway.refresh_gauges()
        assert value("free_hold_places", namespace="d", name="n") == free - 1
        assert 0 < value("bodies_bytes") < value("bodies_limit_bytes")
        waiting.cancel()


async def test_the_metrics_port_refreshes_the_gauges() -> None:
    called = []
    runner = web.AppRunner(metrics_app(lambda: called.append(1)))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as got:
        assert b"voxfleet_gateway_requests" in await got.read()
    await runner.cleanup()
    assert called == [1]


async def test_no_gauge_is_cleared_while_another_scrape_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def write() -> bytes:
        events.append("begins")
        time.sleep(0.05)
        events.append("ends")
        return b""

    monkeypatch.setattr(serving, "generate_latest", write)
    handler = next(iter(metrics_app(lambda: events.append("cleared")).router.routes())).handler
    await asyncio.gather(*(handler(make_mocked_request("GET", "/metrics")) for _ in range(3)))  # type: ignore[arg-type]
    assert events == ["cleared", "begins", "ends"] * 3


def test_names_follow_the_conventions_of_prometheus() -> None:
    families = [family for family in REGISTRY.collect() if family.name.startswith(telemetry.PREFIX)]
    assert len(families) > 20
    for family in families:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", family.name)
        assert not family.name.endswith(("_total", "_count", "_ms", "_milliseconds")), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
    assert b"# TYPE voxfleet_gateway_refusals_total counter" in generate_latest()
