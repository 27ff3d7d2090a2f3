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

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
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
async def answering(answer: Answering) -> AsyncIterator[str]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Authorization: Bearer a key" in head
        await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def saying(*parts: bytes) -> Answering:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


@pytest.mark.parametrize("audio_format", ["pcm", "wav", "mp3", "opus", "aac", "flac"])
async def test_every_format_is_as_long_as_what_was_spoken(server: Any, audio_format: str) -> None:
    (outcome,) = await outcomes_of(template(f"{server.url}/v1", audio_format))
    assert outcome.error is None
    assert outcome.audio_seconds == pytest.approx(len(TEXT) * PATCH_SECONDS, abs=0.12)
    assert outcome.first_audio_seconds is not None
    assert 0 < outcome.first_audio_seconds <= outcome.ended_at


async def test_the_servers_own_rate_counts(server: Any) -> None:
    (outcome,) = await outcomes_of(template(server.url, sample_rate=8000))
    assert outcome.audio_seconds == pytest.approx(len(TEXT) * PATCH_SECONDS, abs=0.01)


async def test_so_many_streams_so_many_requests(server: Any) -> None:
    outcomes = await outcomes_of(template(server.url), concurrency=4, requests=9)
    assert len(outcomes) == 9
    assert not [outcome.error for outcome in outcomes if outcome.error]


async def test_an_open_loop_does_not_wait_for_answers(server: Any) -> None:
    server.model.step_seconds = 0.02
    outcomes = await outcomes_of(template(server.url), concurrency=50, requests=10, rate=100.0)
    begun = sorted(outcome.sent_at for outcome in outcomes)
    assert len(outcomes) == 10
    assert begun[1] < min(outcome.ended_at for outcome in outcomes)


async def test_in_an_open_loop_a_request_without_room_is_late_from_when_it_was_due(server: Any) -> None:
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
async def test_what_goes_wrong_has_a_name(kind: str) -> None:
    async with answering(saying(*PROBLEMS[kind])) as url:
        (outcome,) = await outcomes_of(template(url))
    assert outcome.error == kind


async def test_nobody_there_is_an_error_and_not_a_crash() -> None:
    async with answering(saying()) as url:
        pass
    (outcome,) = await outcomes_of(template(url))
    assert outcome.error == "connection refused"


async def test_a_silent_server_is_given_up() -> None:
    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with answering(wait) as url:
        (outcome,) = await outcomes_of(template(url, timeout_seconds=0.2))
    assert outcome.error == "not complete within 0.2 s"


async def test_an_answer_that_ends_with_its_connection_is_complete() -> None:
    async with answering(saying(b"HTTP/1.1 200 OK\r\n\r\n" + b"\0" * 48000)) as url:
        (outcome,) = await outcomes_of(template(url))
    assert (outcome.error, outcome.audio_seconds) == (None, 1.0)


async def test_what_calls_itself_audio_and_is_none_is_an_error() -> None:
    async with answering(saying(CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n")) as url:
        (wav,) = await outcomes_of(template(url, "wav"))
        (mp3,) = await outcomes_of(template(url, "mp3"))
    assert wav.error == "wav: no WAV header"
    assert mp3.error is not None


async def test_interrupted_it_keeps_what_ended(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.01
    streams = Streams(template(server.url), Plan(concurrency=2, requests=1000))
    running = asyncio.create_task(streams.run())
    await wait_until(lambda: len(streams.ended) >= 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert streams.outcomes()
    assert streams.unfinished > 0
    await wait_until(lambda: server.service.load.open_requests == 0)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://a:6006", "a", 6006, "/v1/audio/speech"),
        ("http://a/v1/", "a", 80, "/v1/audio/speech"),
        ("http://[::1]:7/tts", "::1", 7, "/tts/v1/audio/speech"),
    ],
)
def test_a_base_url_may_end_with_v1(url: str, host: str, port: int, path: str) -> None:
    target = Target.of(url, "/v1/audio/speech", None)
    assert (target.host, target.port, target.path, target.tls) == (host, port, path, None)


@pytest.mark.parametrize("url", ["a:6006", "ftp://a", "http://", "6006"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of the form"):
        Target.of(url, "/v1/audio/speech", None)
