"""Metrics that move; log lines from which a request can be replayed, and which hold no text."""

from __future__ import annotations

import asyncio
import json
import logging
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from prometheus_client import generate_latest
from voxfleet_inference import __version__
from voxfleet_inference.engine.messages import Occupancy, StepDone
from voxfleet_inference.logs import configure_logging
from voxfleet_inference.server.internal import internal_app, load_row
from voxfleet_inference.telemetry import metrics
from voxfleet_inference.telemetry.gpu import GpuReading
from voxfleet_inference.telemetry.metrics import KNOWN_ENDS, STEP_PARTS, Metrics, RequestOutcome

ROOT = Path(__file__).parents[4]
SPEECH = {"model": "voxcpm-1.5", "input": "A sentence.", "voice": "default", "response_format": "pcm"}
UNITS = ("_seconds", "_bytes", "_ratio", "_info", "_total")


async def post(server: Any, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        return await client.post("/v1/audio/speech", json={**SPEECH, **changes}, headers=headers)


async def say_live(server: Any, text: str) -> None:
    """A complete session over the WebSocket."""
    async with websockets.connect(f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream") as socket:
        for message in (
            {"type": "session.start", "model": "voxcpm-1.5", "response_format": "pcm"},
            {"type": "text.append", "text": text},
            {"type": "quetzal"},
            {"type": "session.end"},
        ):
            await socket.send(json.dumps(message))
        received = [message async for message in socket]
    assert any("session.done" in message for message in received if isinstance(message, str))


def speech_lines(log: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "speech"]


def value(server: Any, name: str, **labels: str) -> float:
    return float(server.metrics.registry.get_sample_value(f"voxfleet_inference_{name}", labels) or 0.0)


def test_tables_of_reported_metrics_name_fields_of_the_reports() -> None:
    assert metrics._STEP_COUNTERS.keys() <= {each.name for each in fields(StepDone)}
    assert metrics._OCCUPANCY_GAUGES.keys() <= {each.name for each in fields(Occupancy)}
    assert metrics._GPU_GAUGES.keys() == {each.name for each in fields(GpuReading)}


def test_names_end_in_their_units() -> None:
    counts = {
        "open_requests",
        "rtc_sessions",
        "slots",
        "kv_positions",
        "kv_positions_used",
        "step_rows",
        "ready",
        "request_real_time_factor",
    }
    for metric in Metrics().registry.collect():
        name = metric.name.removeprefix("voxfleet_inference_") + ("_total" if metric.type == "counter" else "")
        assert name.endswith(UNITS) or name.endswith("_sequences") or name in counts, name


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


async def test_a_request_moves_the_metrics(server: Any, wait_until: Any) -> None:
    made, sentences = value(server, "audio_seconds_total"), value(server, "sentences_total")
    assert (await post(server, input="One sentence is here. Another one is there.")).status_code == 200
    await wait_until(lambda: value(server, "open_requests") == 0)
    await wait_until(lambda: value(server, "running_sequences") == 0)
    assert value(server, "requests_total", status="200", outcome="complete") == 1
    assert value(server, "sentences_total") - sentences == 2
    assert value(server, "trailing_silence_seconds_count") == 2
    assert value(server, "request_real_time_factor_count") == 1
    assert value(server, "first_audio_seconds_count") == 1
    assert value(server, "audio_seconds_total") - made == pytest.approx(43 * 0.16, abs=1.0)
    assert value(server, "steps_total") == value(server, "step_seconds_count") > 0
    assert value(server, "queued_audio_seconds") == 0
    build = {"version": __version__, "model": "voxcpm-1.5", "device": "cpu", "dtype": "float32"}
    assert value(server, "build_info", **build) == 1


async def test_a_parked_request_whose_client_left_is_no_longer_counted(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    async with start_server(make_model(), max_buffered_audio_seconds=1.6) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        body = json.dumps({**SPEECH, "input": "words and " * 400}).encode()
        writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.read(1)
        await wait_until(lambda: server.load.parked_sequences == server.load.running_sequences > 0)
        writer.close()
        await wait_until(lambda: load_row(server.service, 0.0)["running_sequences"] == 0)
        assert value(server, "parked_sequences") == value(server, "kv_positions_used") == 0
        assert value(server, "slots") > 0


async def test_counts_are_updated_between_steps(start_server: Any, make_model: Any, wait_until: Any) -> None:
    """Every other sequence is parked, so no step reports the end of this one."""
    async with start_server(make_model(), max_buffered_audio_seconds=1.6, max_parallel_sentences=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        body = json.dumps({**SPEECH, "input": "words and " * 400}).encode()
        head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        writers = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
            writer.write(head + body)
            await reader.read(1)
            writers.append(writer)
        await wait_until(lambda: server.load.parked_sequences == 2)
        writers.pop().close()
        await wait_until(lambda: load_row(server.service, 0.0)["running_sequences"] == 1)
        assert value(server, "running_sequences") == value(server, "parked_sequences") == 1
        assert load_row(server.service, 0.0)["free_rows"] == server.service.settings.max_batch_size
        writers.pop().close()


@pytest.mark.usefixtures("logged")  # restores the logging configuration
def test_uvicorns_lines_follow_the_log_level_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    logging.getLogger("uvicorn.error").warning("nothing of importance")
    logging.getLogger("uvicorn.error").error("something else")
    told = capsys.readouterr().err
    assert ("nothing of importance" in told, "something else" in told) == (False, True)


async def test_load_has_the_gpu_and_the_free_rows(server: Any) -> None:
    assert load_row(server.service, 0.0)["gpu"] is None
    assert server.metrics.registry.get_sample_value("voxfleet_inference_gpu_memory_used_bytes") is None
    server.metrics.gpu.read(GpuReading(0.5, 10, 20))
    transport = httpx.ASGITransport(internal_app(server.service))
    async with httpx.AsyncClient(transport=transport, base_url="http://internal") as client:
        row = (await client.get("/internal/load")).json()
    assert row["gpu"] == {"utilization": 0.5, "memory_used_bytes": 10, "memory_total_bytes": 20}
    assert row["free_rows"] == server.service.settings.max_batch_size
    assert value(server, "gpu_utilization_ratio") == 0.5


async def test_load_has_the_languages_that_the_checkpoint_names(server: Any) -> None:
    assert load_row(server.service, 0.0)["languages"] == []
    server.service.supervisor.loaded = replace(server.service.supervisor.loaded, languages=("en", "zh"))
    assert load_row(server.service, 0.0)["languages"] == ["en", "zh"]


async def test_a_mig_slice_has_no_utilization(server: Any) -> None:
    server.metrics.gpu.read(GpuReading(None, 10, 20))
    assert load_row(server.service, 0.0)["gpu"] == {
        "utilization": None,
        "memory_used_bytes": 10,
        "memory_total_bytes": 20,
    }
    exposed = generate_latest(server.metrics.registry).decode()
    assert "\nvoxfleet_inference_gpu_memory_used_bytes 10.0\n" in exposed
    assert "\nvoxfleet_inference_gpu_utilization_ratio " not in exposed


async def test_the_speech_line_has_all_that_decides_the_audio_but_the_text(
    start_server: Any, make_model: Any, wait_until: Any, logged: Any
) -> None:
    async with start_server(make_model()) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        answer = await post(server, {"X-Request-Id": "abc-1"}, seed=5, cfg_value=3.0, voice="nova", speed=2.0)
        assert answer.headers["x-request-id"] == "abc-1"
        await wait_until(lambda: server.load.open_requests == 0)
    [line] = speech_lines(logged())
    assert {
        "request_id": "abc-1",
        "outcome": "complete",
        "input_characters": 11,
        "attempts": [1],
    }.items() <= line.items()
    request = {
        "seed": 5, "cfg_value": 3.0, "inference_timesteps": 10, "voice": "default", "speed": 2.0, "stream": True,
        "response_format": "pcm", "sample_rate": None, "model": "voxcpm-1.5",
    }  # fmt: skip
    assert request.items() <= line["request"].items()
    assert {"device": "cpu", "dtype": "float32", "deterministic": False}.items() <= line["settings"].items()
    assert "input" not in line["request"]
    assert "input" not in line
    assert line["audio_seconds"] == pytest.approx(11 * 0.16 / 2, rel=0.01)


async def test_no_line_of_a_run_has_the_text(start_server: Any, make_model: Any, wait_until: Any, logged: Any) -> None:
    secrets = ("xylophone", "quetzal", "木琴")
    async with start_server(make_model(), log_level="debug", max_body_bytes=5000) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        for change in (
            {},
            {"stream": False},
            {"stream_format": "sse"},
            {"speed": 99},
            {"response_format": "midi"},
            {"voice": "nobody"},
            {"input": "xylophone please refuse quetzal 木琴"},
            {"input": "xylophone quetzal 木琴" * 400},
            {"instructions": "like a quetzal"},
            {"reference_audio": "eHlsb3Bob25l", "reference_text": "a quetzal"},
        ):
            await post(server, **{"input": "the xylophone says quetzal. 木琴说。", **change})
        await say_live(server, "The xylophone and the quetzal. 木琴说。")
        leaving = asyncio.create_task(post(server, input="xylophone quetzal " * 100))
        await wait_until(lambda: server.load.open_requests == 1)
        leaving.cancel()
        await wait_until(lambda: server.load.open_requests == 0)
    log = logged()
    assert len(speech_lines(log)) >= 4
    assert not [secret for secret in secrets if secret in log or secret in repr(log)]
    assert not [secret for secret in secrets if json.dumps(secret)[1:-1] in log]


async def test_log_text_logs_the_text(start_server: Any, make_model: Any, wait_until: Any, logged: Any) -> None:
    async with start_server(make_model(), log_text=True) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        await post(server, input="the xylophone speaks")
        await wait_until(lambda: server.load.open_requests == 0)
    [line] = speech_lines(logged())
    assert line["input"] == "the xylophone speaks"


async def test_the_speech_line_of_a_failed_or_left_request_has_its_outcome(
    start_server: Any, make_model: Any, wait_until: Any, logged: Any
) -> None:
    model = make_model(step_seconds=0.01)
    async with start_server(model) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        await post(server, input="please refuse")
        leaving = asyncio.create_task(post(server, input="x" * 290))
        await wait_until(lambda: server.load.running_sequences == 1)
        leaving.cancel()
        await wait_until(lambda: server.load.open_requests == 0)
    assert [line["outcome"] for line in speech_lines(logged())] == ["failed", "disconnected"]


def test_the_known_ends_of_requests_and_parts_of_steps_begin_with_zero() -> None:
    """For Prometheus, a series whose first value is 1 has not risen."""
    registry = Metrics().registry
    for status, outcome in KNOWN_ENDS:
        labels = {"status": status, "outcome": outcome.value}
        assert registry.get_sample_value("voxfleet_inference_requests_total", labels) == 0
    assert {outcome for _, outcome in KNOWN_ENDS} == {*RequestOutcome}
    for part in STEP_PARTS:
        assert registry.get_sample_value("voxfleet_inference_step_part_seconds_count", {"part": part}) == 0
