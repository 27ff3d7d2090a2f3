"""The soak's clients against a server that refuses for a while: who waits, who does not, and what is called broken."""

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

SOAK = Path(__file__).parents[3] / "benchmarks" / "soak"
FULL = b'{"error": {"message": "full", "type": "x", "code": "queue_full"}}'
AUDIO = b"\x01\x02" * 500


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(SOAK)
    names = ("exchange", "live_clients", "clients", "crowd")
    before = {name: sys.modules.pop(name, None) for name in names}
    yield importlib.import_module("crowd")
    for name in names:
        sys.modules.pop(name, None)
        if (module := before[name]) is not None:
            sys.modules[name] = module


def answer(status: int, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers))
    return f"{head}\r\n\r\n".encode() + body


QUEUE_FULL, HEARD = answer(503, FULL, "Retry-After: 1"), answer(200, AUDIO)


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[int, list[float]]]:
    """Gives these answers, the last of them for ever; notes when it was asked."""
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
        crowd = soak.Crowd(port)
        makes = next(each for each in soak.KINDS if each.__name__ == kind)
        await crowd._until_it_ends(makes, makes(draw), draw)
    return crowd.tally, asked


async def test_who_is_refused_comes_back_when_told_and_is_heard(soak: Any) -> None:
    tally, asked = await one(soak, "listens", QUEUE_FULL, QUEUE_FULL, HEARD)
    assert dict(tally.ended) == {("listens", "heard to the end"): 1}
    assert dict(tally.refusals) == {503: 2}
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= 1.0
    assert (tally.heard_share, tally.violations()) == (1.0, [])


async def test_who_hammers_does_not_wait(soak: Any) -> None:
    tally, asked = await one(soak, "hammers", QUEUE_FULL)
    assert dict(tally.ended) == {("hammers", "gave up"): 1}
    assert len(asked) == 5
    assert asked[-1] - asked[0] < 1.0 * 4


async def test_who_is_refused_for_ever_is_broken(soak: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "PATIENCE_SECONDS", 0.5)
    tally, asked = await one(soak, "reads_slowly", QUEUE_FULL)
    assert tally.violations() == ["1 x reads_slowly: was refused for 0.5 s"]
    assert len(asked) == 1


async def test_who_has_begun_when_the_time_is_over_is_still_served(soak: Any) -> None:
    async with server(*[QUEUE_FULL] * 4, HEARD) as (port, _):
        crowd = soak.Crowd(port)
        soak.KINDS.clear()
        soak.KINDS.update({kind: 1 for kind in soak.SPEAKING if kind.__name__ == "listens"})
        await crowd.come(4, 0.2, "seed")
    assert dict(crowd.tally.ended) == {("listens", "heard to the end"): 4}


def test_nobody_waits_for_a_whole_evening(soak: Any) -> None:
    refusal = sys.modules["exchange"].Refusal(503, 60.0)
    assert 10.0 <= soak.waiting_seconds(refusal, random.Random(0)) <= 12.0  # noqa: S311


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
async def test_what_is_unclear_is_broken(soak: Any, sent: bytes, words: str) -> None:
    tally, _ = await one(soak, "listens", sent)
    [violation] = tally.violations()
    assert words in violation


def test_a_crowd_that_hears_little_proves_little(soak: Any) -> None:
    tally = soak.Tally()
    tally.ended["listens", "heard to the end"] = 60
    tally.ended["leaves", "left"] = 61
    assert tally.violations() == ["only 50% of 121 requests for speech were heard to the end"]
    tally.ended["asks_wrongly", "400"] = 1000
    tally.ended["leaves", "left"] = 60
    assert tally.violations() == []
