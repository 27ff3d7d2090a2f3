"""Clients that send requests to one side: a fixed number in flight, at a fixed rate, or as streams side by side.

Knows: when each request is due. Does not know: which side it goes to, what the figures mean.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Sequence

from clients.audio import SpokenText, StreamReader
from clients.http_client import Pool, RequestError
from clients.outcomes import Outcome

PATH = "/v1/audio/speech"
REQUEST_SECONDS = 120.0  # beyond it a request counts as failed
HTTP_OK = 200
ERROR_CODE = re.compile(rb'"code": ?"([a-z_]+)"')
RAMP_SECONDS = 1.0  # over which streams begin, so that their chunks are not due at the same moment


def request_of(model: str, text: SpokenText, location: str = "0,0") -> bytes:
    """Return the bytes of one request for speech, as from a proxy that knows its client's location."""
    body = f'{{"model":"{model}","input":"{text}","response_format":"pcm"}}'.encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: voxfleet\r\nContent-Type: application/json\r\n"
    head += f"Voxfleet-Client-Location: {location}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def send(pool: Pool, request: bytes, due_at: float, reader: StreamReader | None = None) -> Outcome:
    """Send one request and time it from the moment it was due; a failure is an outcome too."""
    outcome, first = Outcome(due_at), b""

    def on_body(data: bytes) -> None:
        nonlocal first
        now = time.monotonic()
        if outcome.first_at is None:
            outcome.first_at, first = now, data
        outcome.body_bytes += len(data)
        if reader is not None:
            reader.feed(data, now)

    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            status = await pool.exchange(request, on_body)
        outcome.error = None if status == HTTP_OK else error_kind(status, first)
    except RequestError as error:
        outcome.error = str(error)
    except TimeoutError:
        outcome.error = f"not complete within {REQUEST_SECONDS:.0f} s"
    outcome.ended_at = time.monotonic()
    outcome.chunks = reader.timing if reader is not None else None
    return outcome


def error_kind(status: int, body: bytes) -> str:
    """Return the status with the code that OpenAI's form of an error names."""
    code = ERROR_CODE.search(body)
    return f"{status} {code[1].decode()}" if code else f"status {status}"


async def closed_loop(pool: Pool, request: bytes, requests: int, in_flight: int) -> list[Outcome]:
    """Keep so many requests in flight until so many are answered."""
    outcomes: list[Outcome] = []

    async def worker(count: int) -> None:
        outcomes.extend([await send(pool, request, time.monotonic()) for _ in range(count)])

    shares = [requests // in_flight + (number < requests % in_flight) for number in range(in_flight)]
    await asyncio.gather(*(worker(share) for share in shares))
    return outcomes


async def for_seconds(pool: Pool, request: bytes, seconds: float, in_flight: int) -> list[Outcome]:
    """Keep so many requests in flight for so long; those that are open at the end are waited for."""
    outcomes: list[Outcome] = []
    ends_at = time.monotonic() + seconds

    async def worker() -> None:
        while time.monotonic() < ends_at:
            outcomes.append(await send(pool, request, time.monotonic()))

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return outcomes


async def at_times(pool: Pool, requests: Iterable[tuple[float, bytes]]) -> list[Outcome]:
    """Send each request when it is due, whatever became of earlier ones; (seconds from now, bytes), in order."""
    tasks, began_at = [], time.monotonic()
    for after_seconds, request in requests:
        due_at = began_at + after_seconds
        if (pause_seconds := due_at - time.monotonic()) > 0:
            await asyncio.sleep(pause_seconds)
        tasks.append(asyncio.create_task(send(pool, request, due_at)))
    return list(await asyncio.gather(*tasks))


def evenly(request: bytes, per_second: float, seconds: float) -> list[tuple[float, bytes]]:
    """Return the arrivals of a constant rate."""
    return [(number / per_second, request) for number in range(round(per_second * seconds))]


async def side_by_side(pool: Pool, request: bytes, streams: int, text: SpokenText) -> list[Outcome]:
    """Play so many streams at once, which begin within RAMP_SECONDS."""
    began_at = time.monotonic()

    async def play(number: int) -> Outcome:
        due_at = began_at + RAMP_SECONDS * number / streams
        await asyncio.sleep(due_at - time.monotonic())
        return await send(pool, request, due_at, StreamReader(text))

    return list(await asyncio.gather(*(play(number) for number in range(streams))))


def failures(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the failed requests by kind."""
    kinds = [outcome.error for outcome in outcomes if outcome.error is not None]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
