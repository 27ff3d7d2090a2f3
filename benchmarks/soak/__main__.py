"""Many badly behaved listeners on the real server with a tiny checkpoint: does it hang, leak, or answer unclearly?

Clients listen to the end in every format, leave at any moment, read slowly or not at all, close one half of their
socket, send wrong requests, half requests and no HTTP at all. Each exchange must end as its kind allows: complete
audio, an error in OpenAI's form, a refusal with Retry-After. Afterwards nothing may be left open, memory must have
stayed flat, and the same seed must still give the same bytes. Prints figures as JSON; the exit code is 1 when anything
broke.

    python benchmarks/soak.py --clients 200 --seconds 180
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN = "soak"  # noqa: S105 - of a server that nobody else reaches
START_SECONDS, HANG_SECONDS, SETTLE_SECONDS = 180.0, 240.0, 60.0
SPEECH = {"model": "voxcpm-1.5", "voice": "default", "response_format": "pcm"}
FORMATS = ("pcm", "mp3", "opus", "aac", "flac", "wav")
TEXTS = ("A short one.", "今天天气很好。", "Two sentences are here. This is the second.", "word " * 60)
GROWTH, GROWTH_BYTES = 1.15, 48 * 2**20  # from the middle of the run to its end; allocators breathe
NOT_NOW, WRONG = (429, 503), (400, 404, 405, 413, 415, 422)


class ViolationError(Exception):
    """Something that must not happen; the message says what."""


# -- one exchange -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Exchange:
    """A connection with one request on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def read_head(self) -> None:
        """Status and headers."""
        status_line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(status_line.split()[1])
        pairs = (line.partition(":") for line in lines if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def body(self) -> AsyncIterator[bytes]:
        """Pieces of the body; one that is cut raises IncompleteReadError."""
        if "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")

    async def whole_body(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.body()])


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Exchange]:
    """A fresh connection, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Exchange(reader, writer)
    finally:
        writer.transport.abort()


def speech_request(fields: dict[str, Any]) -> bytes:
    """The bytes of a speech request."""
    return http_request("POST", "/v1/audio/speech", json.dumps(SPEECH | fields).encode())


def http_request(method: str, path: str, body: bytes) -> bytes:
    """The bytes of any request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


async def refused(exchange: Exchange, allowed: tuple[int, ...]) -> str:
    """An error that is clear: OpenAI's form, and when to come back where that helps.

    Raises:
        ViolationError: it is not.
    """
    body = await exchange.whole_body()
    if exchange.status not in allowed:
        raise ViolationError(f"status {exchange.status}: {body[:200]!r}")
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError) as error:
        raise ViolationError(f"{exchange.status} not in OpenAI's form: {body[:200]!r}") from error
    if exchange.status in NOT_NOW and "retry-after" not in exchange.headers:
        raise ViolationError(f"{exchange.status} without Retry-After: {message}")
    return str(exchange.status)


# -- kinds of clients -------------------------------------------------------------------------------------------------


async def listens(port: int, draw: random.Random) -> str:
    """To the end, in any format, streamed or whole."""
    wanted = {
        "input": draw.choice(TEXTS),
        "response_format": draw.choice(FORMATS),
        "stream": draw.choice((True, True, False)),
    }
    async with connected(port) as exchange:
        exchange.writer.write(speech_request(wanted))
        await exchange.read_head()
        if exchange.status != 200:  # noqa: PLR2004
            return await refused(exchange, NOT_NOW)
        if len(await exchange.whole_body()) < 100:  # noqa: PLR2004
            raise ViolationError(f"no audio for {wanted}")
    return "complete"


async def leaves(port: int, draw: random.Random) -> str:
    """At any moment: before the request is whole, before the answer, or in the middle of it."""
    request = speech_request({"input": "word " * 200})
    async with connected(port) as exchange:
        exchange.writer.write(request[: draw.choice((10, len(request) - 5, len(request)))])
        with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(draw.expovariate(1.0)):
                await exchange.read_head()
                async for _ in exchange.body():
                    await asyncio.sleep(0.05)
    return "left"


async def reads_slowly(port: int, draw: random.Random) -> str:
    """A little at a time, with pauses, to the end."""
    async with connected(port) as exchange:
        exchange.writer.write(speech_request({"input": draw.choice(TEXTS[:3])}))
        await exchange.read_head()
        if exchange.status != 200:  # noqa: PLR2004
            return await refused(exchange, NOT_NOW)
        async for _ in exchange.body():
            await asyncio.sleep(0.1)
    return "complete slowly"


async def reads_nothing(port: int, draw: random.Random) -> str:
    """Asks for much and never reads, for longer than the server's patience."""
    async with connected(port) as exchange:
        exchange.writer.transport.pause_reading()  # type: ignore[attr-defined]
        exchange.writer.write(speech_request({"input": "word " * 300, "sample_rate": 96000}))
        await asyncio.sleep(draw.uniform(1, 6))
    return "left unread"


async def closes_one_half(port: int, draw: random.Random) -> str:
    """A request and the end of everything this side has to say; an answer or its absence must follow soon."""
    async with connected(port) as exchange:
        exchange.writer.write(speech_request({"input": draw.choice(TEXTS[:2])}))
        exchange.writer.write_eof()
        try:
            await exchange.read_head()
            await exchange.whole_body()
        except asyncio.IncompleteReadError:
            return "half-closed, cut"
    return "half-closed, answered"


async def asks_wrongly(port: int, draw: random.Random) -> str:
    """Something that is no speech request."""
    path = "/v1/audio/speech"
    wrong = draw.choice(
        (
            http_request("POST", path, b"{"),
            http_request("POST", path, b"[]"),
            http_request("POST", path, b"\xff\xfe"),
            http_request("GET", path, b""),
            http_request("POST", "/v1/nothing", b"{}"),
            speech_request({"input": ""}),
            speech_request({"input": "x" * 5000}),
            speech_request({"input": "hi", "speed": 99}),
            speech_request({"input": "hi", "model": "another"}),
            speech_request({"input": "hi", "reference_audio": "AAAA", "reference_text": "a"}),
            speech_request({"input": "hi", "voice": {"id": 7}}),
        )
    )
    async with connected(port) as exchange:
        exchange.writer.write(wrong)
        await exchange.read_head()
        return await refused(exchange, (*WRONG, *NOT_NOW))


async def speaks_no_http(port: int, draw: random.Random) -> str:
    """Random bytes; the server may say 400 or hang up, and must do one of them."""
    async with connected(port) as exchange:
        exchange.writer.write(draw.randbytes(draw.randint(1, 2000)) + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await exchange.reader.read()
    return "no HTTP"


async def trickles(port: int, draw: random.Random) -> str:
    """Headers, a byte at a time, and then no more."""
    async with connected(port) as exchange:
        for byte in speech_request({"input": "hi"})[: draw.randint(5, 40)]:
            exchange.writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
    return "trickled"


Client = Callable[[int, random.Random], Awaitable[str]]
CLIENTS: dict[Client, int] = {
    listens: 10, leaves: 4, reads_slowly: 2, reads_nothing: 1, closes_one_half: 1, asks_wrongly: 3,
    speaks_no_http: 1, trickles: 1,
}  # fmt: skip


async def keep_going(port: int, draw: random.Random, until: float, ended: Counter[str]) -> None:
    """One client after another, each of another kind."""
    kinds, weights = zip(*CLIENTS.items(), strict=True)
    while time.monotonic() < until:
        kind = draw.choices(kinds, weights)[0]
        try:
            async with asyncio.timeout(HANG_SECONDS):
                outcome = await kind(port, draw)
        except TimeoutError:
            outcome = f"VIOLATION {kind.__name__}: hangs"
        except ViolationError as violation:
            outcome = f"VIOLATION {kind.__name__}: {violation}"
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            outcome = f"VIOLATION {kind.__name__}: cut off ({type(error).__name__})"
        ended[f"{kind.__name__}: {outcome}" if not outcome.startswith("VIOLATION") else outcome] += 1
        if outcome in {"429", "503"}:
            await asyncio.sleep(draw.uniform(0.1, 1.0))


# -- the server -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    """The two processes."""

    process: subprocess.Popen[bytes]
    port: int
    internal_port: int

    def load(self) -> dict[str, Any]:
        """What it says about itself."""
        url = f"http://127.0.0.1:{self.internal_port}/internal/load"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, as written above
            return dict(json.load(answer))

    def pids(self) -> list[int]:
        """HTTP side and engine."""
        pid = self.process.pid
        children = (each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children"))
        return [pid, *(int(child) for each in children for child in each)]

    def memory_bytes(self) -> list[int]:
        """Resident memory of each."""
        return [
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") for pid in self.pids()
        ]

    def open_files(self) -> int:
        """File descriptors of the HTTP side."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def is_idle(self) -> bool:
        """Whether nothing is left of anybody."""
        load = self.load()
        return not (load["open_requests"] or load["running_sequences"] or load["waiting_sequences"])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """The real server on a tiny checkpoint."""
    command = [sys.executable, "-m", "voxfleet_inference"]
    subprocess.run([*command, "tiny-checkpoint", str(folder)], check=True, stdout=subprocess.DEVNULL)
    port, metrics_port, internal_port = free_ports()
    flags = {
        "model-path": folder, "device": "cpu", "dtype": "fp32", "cpu-threads": 1, "host": "127.0.0.1", "port": port,
        "metrics-port": metrics_port, "internal-port": internal_port, "slow-client-seconds": 5,
        "internal-token-sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "max-buffered-audio-seconds": 10,
        "log-level": "error",
    }  # fmt: skip
    command += ["serve", *(part for name, value in flags.items() for part in (f"--{name}", str(value)))]
    process = subprocess.Popen(command)
    try:
        yield Server(process, port, internal_port)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SETTLE_SECONDS)
        process.kill()


def free_ports() -> list[int]:
    """Three of them."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [each.getsockname()[1] for each in sockets]


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait.

    Raises:
        ViolationError: it did not happen in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise ViolationError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


async def said(port: int) -> str:
    """What the server makes of one text and one seed."""
    async with connected(port) as exchange:
        exchange.writer.write(speech_request({"input": TEXTS[0], "seed": 5}))
        await exchange.read_head()
        return hashlib.sha256(await exchange.whole_body()).hexdigest()


# -- the soak ---------------------------------------------------------------------------------------------------------


async def soak(server: Server, clients: int, seconds: float, seed: int) -> tuple[Counter[str], list[list[int]]]:
    """All clients at once; what became of them, and the memory over time."""
    ended: Counter[str] = Counter()
    memory: list[list[int]] = []

    async def watch() -> None:
        while True:
            memory.append(server.memory_bytes())
            await asyncio.sleep(0.5)

    watching, until = asyncio.create_task(watch()), time.monotonic() + seconds
    await asyncio.gather(*(keep_going(server.port, random.Random(f"{seed}/{n}"), until, ended) for n in range(clients)))  # noqa: S311
    watching.cancel()
    return ended, memory


def violations_of(ended: Counter[str], memory: list[list[int]]) -> list[str]:
    """What broke among the clients, and memory that grew."""
    found = [f"{count} x {what}" for what, count in ended.items() if what.startswith("VIOLATION")]
    for name, series in zip(("http", "engine"), zip(*memory, strict=True), strict=True):
        middle, last = series[len(series) // 2 : -len(series) // 4], series[-len(series) // 4 :]
        before, after = statistics.median(middle or series), statistics.median(last)
        if after > before * GROWTH + GROWTH_BYTES:
            found.append(f"VIOLATION memory of {name} grew from {before / 2**20:.0f} to {after / 2**20:.0f} MiB")
    return found


def run(clients: int, seconds: float, seed: int) -> dict[str, Any]:
    """The whole story, as figures."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        wait_until(lambda: server.load()["state"] == "ready", START_SECONDS, "ready")
        expected, files_before = asyncio.run(said(server.port)), server.open_files()
        ended, memory = asyncio.run(soak(server, clients, seconds, seed))
        violations = violations_of(ended, memory)
        try:
            wait_until(server.is_idle, SETTLE_SECONDS, f"nothing left open: {server.load()}")
            wait_until(lambda: server.open_files() <= files_before + 2, SETTLE_SECONDS, "all sockets closed")
        except ViolationError as left:
            violations.append(f"VIOLATION {left}")
        if asyncio.run(said(server.port)) != expected:
            violations.append("VIOLATION the same seed gives other bytes than before")
    peaks = [max(series) for series in zip(*memory, strict=True)]
    return {
        "clients": clients,
        "seconds": seconds,
        "exchanges": sum(ended.values()),
        "ended": dict(sorted(ended.items())),
        "memory_mib": [[round(value / 2**20) for value in each] for each in memory[:: len(memory) // 12 + 1]],
        "peak_memory_mib": [round(peak / 2**20) for peak in peaks],
        "violations": violations,
    }


def main() -> int:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200, help="at a time")
    parser.add_argument("--seconds", type=float, default=180.0, help="no exchange begins later")
    parser.add_argument("--seed", type=int, default=0, help="of who does what")
    arguments = parser.parse_args()
    figures = run(arguments.clients, arguments.seconds, arguments.seed)
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
