"""Soak test: many clients, some of them misbehaving, on the real server with a tiny checkpoint.

Most clients read their audio to the end, in every format, and retry after a rejection; others disconnect at any moment,
read slowly or not at all, retry at once, close one half of their socket, send wrong requests, half requests and no HTTP
at all. Each exchange must end as its kind allows: complete audio, an error in OpenAI's form, a rejection with
Retry-After. At least half of the speech requests must complete. The load comes in waves: after each wave no request or
socket may be open, and over the second half memory at rest must be flat; at the end the same seed must still give the
same bytes. Prints figures as JSON; the exit status is 1 when anything was violated.

    python benchmarks/soak --clients 200 --seconds 180
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clients import TEXTS
from exchange import ViolationError, connected, speech_request
from load_generator import ExchangeCounts, LoadGenerator
from memory_check import check_memory
from server import PROCESSES, SETTLE_SECONDS, Server, serving, wait_until

START_SECONDS, SAMPLE_SECONDS = 180.0, 0.5


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """The load: how many clients, for how long, in how many waves."""

    clients: int
    seconds: float
    waves: int
    seed: int
    allowed_mib: float


async def seeded_audio_hash(port: int) -> str:
    """Return the hash of the audio for one text and one seed, which must never change."""
    async with connected(port) as exchange:
        exchange.writer.write(speech_request({"input": TEXTS[0], "seed": 5}))
        await exchange.read_head()
        return hashlib.sha256(await exchange.whole_body()).hexdigest()


@dataclass(slots=True)
class Memory:
    """Resident memory of the two processes in bytes: the highest, and at rest after each wave."""

    highest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PROCESSES, 0))
    resting: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in PROCESSES})

    async def watch(self, server: Server) -> None:
        """Record the highest memory until cancelled."""
        while True:
            for name, size in server.memory_bytes().items():
                self.highest[name] = max(self.highest[name], size)
            await asyncio.sleep(SAMPLE_SECONDS)

    def rest(self, server: Server) -> None:
        """Record the memory at rest, when no request is open."""
        server.trim_memory()
        for name, size in server.memory_bytes().items():
            self.resting[name].append(size)


async def wave(server: Server, load: LoadGenerator, memory: Memory, options: SoakOptions, number: int) -> None:
    """Run all clients once, until their last exchange has ended."""
    watching = asyncio.create_task(memory.watch(server))
    await load.run(options.clients, options.seconds / options.waves, f"{options.seed}/{number}")
    watching.cancel()


def soak(server: Server, options: SoakOptions) -> tuple[ExchangeCounts, Memory, list[str]]:
    """Run all waves; returns the exchanges' counts, the memory, and what was left open or changed."""
    load, memory, left = LoadGenerator(server.port), Memory(), []
    files_before, expected = server.open_files(), asyncio.run(seeded_audio_hash(server.port))
    for number in range(options.waves):
        asyncio.run(wave(server, load, memory, options, number))
        left += left_behind(server, files_before)
        memory.rest(server)
    if asyncio.run(seeded_audio_hash(server.port)) != expected:
        left.append("the same seed gives other bytes than before the load")
    return load.counts, memory, left


def left_behind(server: Server, files_before: int) -> list[str]:
    """Return what is still open after a wave."""
    try:
        wait_until(server.is_idle, SETTLE_SECONDS, f"nothing left open: {server.load()}")
        wait_until(lambda: server.open_files() <= files_before + 2, SETTLE_SECONDS, "all sockets closed")
    except ViolationError as left:
        return [str(left)]
    return []


def run(options: SoakOptions) -> dict[str, Any]:
    """Start a server, run all waves, check memory; returns the figures that are printed."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        wait_until(lambda: server.load()["state"] == "ready", START_SECONDS, "ready")
        counts, memory, left = soak(server, options)
    checks = {name: check_memory(levels, options.allowed_mib * 2**20) for name, levels in memory.resting.items()}
    grows = [f"memory of {name} grows: {check}" for name, check in checks.items() if not check.is_flat]
    return {
        "options": asdict(options),
        "exchanges": counts.exchanges,
        "ended": {f"{kind}: {how}": count for (kind, how), count in sorted(counts.ended.items())},
        "completed_share": round(counts.completed_share, 3),
        "rejections": dict(counts.rejections),
        "memory_at_rest": {name: str(check) for name, check in checks.items()},
        "highest_memory_mib": {name: round(size / 2**20) for name, size in memory.highest.items()},
        "violations": counts.violations() + left + grows,
    }


def main() -> int:
    """Run the soak and print its figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200, help="clients at a time")
    parser.add_argument("--seconds", type=float, default=180.0, help="duration of all waves; no exchange starts later")
    parser.add_argument("--waves", type=int, default=6, help="waves of load; after each all clients disconnect")
    parser.add_argument("--seed", type=int, default=0, help="seed of the clients' kinds and requests")
    parser.add_argument(
        "--allowed-mib", type=float, default=8.0, help="allowed growth at rest in the second half, in addition to 2 %%"
    )
    figures = run(SoakOptions(**vars(parser.parse_args())))
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
