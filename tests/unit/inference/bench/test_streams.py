"""Requests against servers that behave, and that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from voxfleet_inference.bench.http_client import Target
from voxfleet_inference.bench.outcomes import RequestOutcome
from voxfleet_inference.bench.schedule import Plan
from voxfleet_inference.bench.streams import RequestTemplate, Streams

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TEXT = "A sentence of some length."

PATCH_SECONDS = 0.16


def template(url: str, audio_format: str = "pcm", timeout_seconds: float = 60.0, **body: Any) -> RequestTemplate:
    fixed = {"model": "voxcpm-1.5", "voice": "default", "response_format": audio_format}
    return RequestTemplate(
        target=Target.of(url, "/v1/audio/speech", "a key"),
        texts=(TEXT,),
        body=fixed | body,
        audio_format=audio_format,
        pcm_rate=24000,
        timeout_seconds=timeout_seconds,
    )


async def outcomes_of(wanted: RequestTemplate, **plan: Any) -> list[RequestOutcome]:
    streams = Streams(wanted, Plan(**{"concurrency": 1, "requests": 1, **plan}))
    await streams.run()
    assert streams.open_streams == streams.unfinished == 0
    return streams.outcomes()


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[str]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Authorization: Bearer a key" in head
        await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def sending(*parts: bytes) -> Handler:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return handle


@pytest.mark.parametrize("audio_format", ["pcm", "wav", "mp3", "opus", "aac", "flac", "mulaw", "alaw"])
async def test_the_duration_of_every_format_is_measured(server: Any, audio_format: str) -> None:
    (outcome,) = await outcomes_of(template(f"{server.url}/v1", audio_format))
    assert outcome.error is None
    assert outcome.audio_seconds == pytest.approx(len(TEXT) * PATCH_SECONDS, abs=0.12)
    assert outcome.first_audio_seconds is not None
    assert 0 < outcome.first_audio_seconds <= outcome.ended_at


async def test_the_rate_in_the_response_header_is_used(server: Any) -> None:
    (outcome,) = await outcomes_of(template(server.url, sample_rate=8000))
    assert outcome.audio_seconds == pytest.approx(len(TEXT) * PATCH_SECONDS, abs=0.01)


async def test_a_closed_loop_sends_all_requests(server: Any) -> None:
    outcomes = await outcomes_of(template(server.url), concurrency=4, requests=9)
    assert len(outcomes) == 9
    assert not [outcome.error for outcome in outcomes if outcome.error]


async def test_an_open_loop_does_not_wait_for_responses(server: Any) -> None:
    server.model.step_seconds = 0.02
    outcomes = await outcomes_of(template(server.url), concurrency=50, requests=10, rate=100.0)
    begun = sorted(outcome.sent_at for outcome in outcomes)
    assert len(outcomes) == 10
    assert begun[1] < min(outcome.ended_at for outcome in outcomes)


async def test_latency_in_an_open_loop_includes_the_wait_for_a_free_stream(server: Any) -> None:
    server.model.step_seconds = 0.01
    outcomes = await outcomes_of(template(server.url), concurrency=1, requests=3, rate=1000.0)
    last = max(outcomes, key=lambda outcome: outcome.due_at)
    assert last.sent_at - last.due_at > 0.4
    assert last.first_audio_seconds is not None
    assert last.first_audio_seconds > 0.4


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

PROBLEMS = {
    "cut off": (CHUNKED + b"4\r\nabcd\r\n",),
    "no response": (),
    "no HTTP": (b"220 mail.example.com ESMTP\r\n",),
    "no audio": (CHUNKED + b"0\r\n\r\n",),
    "503 queue_full": (b'HTTP/1.1 503 Busy\r\nContent-Length: 33\r\n\r\n{"error": {"code": "queue_full"}}',),
    "502": (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",),
}


@pytest.mark.parametrize("kind", PROBLEMS)
async def test_each_failure_has_its_kind(kind: str) -> None:
    async with serving(sending(*PROBLEMS[kind])) as url:
        (outcome,) = await outcomes_of(template(url))
    assert outcome.error == kind


async def test_a_refused_connection_is_an_error() -> None:
    async with serving(sending()) as url:
        pass
    (outcome,) = await outcomes_of(template(url))
    assert outcome.error == "connection refused"


async def test_a_silent_server_times_out() -> None:
    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(wait) as url:
        (outcome,) = await outcomes_of(template(url, timeout_seconds=0.2))
    assert outcome.error == "not complete within 0.2 s"


async def test_a_response_that_ends_with_its_connection_is_complete() -> None:
    async with serving(sending(b"HTTP/1.1 200 OK\r\n\r\n" + b"\0" * 48000)) as url:
        (outcome,) = await outcomes_of(template(url))
    assert (outcome.error, outcome.audio_seconds) == (None, 1.0)


async def test_a_body_that_is_no_audio_is_an_error() -> None:
    async with serving(sending(CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n")) as url:
        (wav,) = await outcomes_of(template(url, "wav"))
        (mp3,) = await outcomes_of(template(url, "mp3"))
    assert wav.error == "wav: no WAV header"
    assert mp3.error is not None


async def test_a_cancelled_run_keeps_ended_requests(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.01
    streams = Streams(template(server.url), Plan(concurrency=2, requests=1000))
    running = asyncio.create_task(streams.run())
    await wait_until(lambda: len(streams.ended) >= 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert streams.outcomes()
    assert streams.unfinished > 0
    await wait_until(lambda: server.load.open_requests == 0)
