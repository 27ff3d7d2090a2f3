"""The soak's load generator against a stub server: retries after rejections, and what counts as a violation."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

SOAK = Path(__file__).parents[4] / "benchmarks" / "soak"
FULL = b'{"error": {"message": "full", "type": "x", "code": "queue_full"}}'
AUDIO = b"\x01\x02" * 500


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(SOAK)
    names = ("exchange", "live_clients", "clients", "load_generator")
    before = {name: sys.modules.pop(name, None) for name in names}
    yield importlib.import_module("load_generator")
    for name in names:
        sys.modules.pop(name, None)
        if (module := before[name]) is not None:
            sys.modules[name] = module


def answer(status: int, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers))
    return f"{head}\r\n\r\n".encode() + body


REFUSED, COMPLETED = answer(503, FULL, "Retry-After: 1"), answer(200, AUDIO)


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[int, list[float]]]:
    """Serve these responses in order, the last one for ever; yields the port and the times of the requests."""
    asked: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(answers[min(len(asked), len(answers) - 1)])
        asked.append(time.monotonic())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], asked


async def one(soak: Any, kind: str, *answers: bytes) -> tuple[Any, list[float]]:
    draw = random.Random(0)  # noqa: S311
    async with server(*answers) as (port, asked):
        generator = soak.LoadGenerator(port)
        makes = next(each for each in soak.KINDS if each.__name__ == kind)
        await generator._count_exchange(makes, makes(draw), draw)
    return generator.counts, asked


async def test_a_rejected_client_retries_after_retry_after_and_completes(soak: Any) -> None:
    counts, asked = await one(soak, "reads_all", REFUSED, REFUSED, COMPLETED)
    assert dict(counts.ended) == {("reads_all", "completed"): 1}
    assert dict(counts.rejections) == {503: 2}
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= 1.0
    assert (counts.completed_share, counts.violations()) == (1.0, [])


async def test_a_hammering_client_does_not_wait(soak: Any) -> None:
    counts, asked = await one(soak, "hammers", REFUSED)
    assert dict(counts.ended) == {("hammers", "gave up"): 1}
    assert len(asked) == 5
    assert asked[-1] - asked[0] < 1.0 * 4


async def test_being_rejected_for_ever_is_a_violation(soak: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "PATIENCE_SECONDS", 0.5)
    counts, asked = await one(soak, "reads_slowly", REFUSED)
    assert counts.violations() == ["1 x reads_slowly: was rejected for 0.5 s"]
    assert len(asked) == 1


async def test_an_exchange_that_started_before_the_deadline_is_finished(soak: Any) -> None:
    async with server(*[REFUSED] * 4, COMPLETED) as (port, _):
        generator = soak.LoadGenerator(port)
        soak.KINDS.clear()
        soak.KINDS.update({kind: 1 for kind in soak.SPEAKING if kind.__name__ == "reads_all"})
        await generator.run(4, 0.2, "seed")
    assert dict(generator.counts.ended) == {("reads_all", "completed"): 4}


def test_retry_after_is_capped(soak: Any) -> None:
    rejection = sys.modules["exchange"].Rejection(503, 60.0)
    assert 10.0 <= soak.wait_seconds(rejection, random.Random(0)) <= 12.0  # noqa: S311


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (answer(503, FULL), "503 without Retry-After"),
        (answer(503, b"busy", "Retry-After: 1"), "503 not in OpenAI's form"),
        (answer(500, json.dumps({"error": {"message": "oh"}}).encode()), "status 500"),
        (answer(200, AUDIO)[:-100], "cut off (IncompleteReadError)"),
        (answer(200, b"few"), "3 bytes of audio"),
    ],
)
async def test_an_invalid_response_is_a_violation(soak: Any, sent: bytes, words: str) -> None:
    counts, _ = await one(soak, "reads_all", sent)
    [violation] = counts.violations()
    assert words in violation


def test_too_few_completed_requests_are_a_violation(soak: Any) -> None:
    counts = soak.ExchangeCounts()
    counts.ended["reads_all", "completed"] = 60
    counts.ended["leaves", "left"] = 61
    assert counts.violations() == ["only 50% of 121 speech requests completed; the minimum is 50%"]
    counts.ended["sends_wrong_requests", "400"] = 1000
    counts.ended["leaves", "left"] = 60
    assert counts.violations() == []
