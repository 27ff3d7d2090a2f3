"""Many listeners, some badly behaved, on the real server with a tiny checkpoint: does it hang, leak, mumble?

Most clients listen to the end, in every format, and come back when they are told to; others leave at any moment, read
slowly or not at all, ask again at once, close one half of their socket, send wrong requests, half requests and no HTTP
at all. Each exchange must end as its kind allows: complete audio, an error in OpenAI's form, a refusal with
Retry-After. At least half of those that asked for speech must have been heard to the end. They come in waves: after
each nothing may be left open, and over the second half memory at rest must be flat; in the end the same seed must still
give the same bytes. Prints figures as JSON; the exit code is 1 when anything broke.

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
from crowd import Crowd, Tally
from exchange import ViolationError, connected, speech_request
from flatness import judge
from server import PROCESSES, SETTLE_SECONDS, Server, serving, wait_until

START_SECONDS, SAMPLE_SECONDS = 180.0, 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much of it."""

    clients: int
    seconds: float
    waves: int
    seed: int
    allowed_mib: float


async def said(port: int) -> str:
    """What the server makes of one text and one seed."""
    async with connected(port) as exchange:
        exchange.writer.write(speech_request({"input": TEXTS[0], "seed": 5}))
        await exchange.read_head()
        return hashlib.sha256(await exchange.whole_body()).hexdigest()


@dataclass(slots=True)
class Memory:
    """Of the two processes: at its highest, and at rest after each wave."""

    highest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PROCESSES, 0))
    resting: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in PROCESSES})

    async def watch(self, server: Server) -> None:
        """Until cancelled."""
        while True:
            for name, size in server.memory_bytes().items():
                self.highest[name] = max(self.highest[name], size)
            await asyncio.sleep(SAMPLE_SECONDS)

    def rest(self, server: Server) -> None:
        """Everybody has gone home."""
        server.give_back()
        for name, size in server.memory_bytes().items():
            self.resting[name].append(size)


async def wave(server: Server, crowd: Crowd, memory: Memory, wanted: Wanted, number: int) -> None:
    """All clients at once, until all of them were served."""
    watching = asyncio.create_task(memory.watch(server))
    await crowd.come(wanted.clients, wanted.seconds / wanted.waves, f"{wanted.seed}/{number}")
    watching.cancel()


def soak(server: Server, wanted: Wanted) -> tuple[Tally, Memory, list[str]]:
    """All waves; what became of everybody, the memory, and what stayed when all had left."""
    crowd, memory, left = Crowd(server.port), Memory(), []
    files_before, expected = server.open_files(), asyncio.run(said(server.port))
    for number in range(wanted.waves):
        asyncio.run(wave(server, crowd, memory, wanted, number))
        left += left_behind(server, files_before)
        memory.rest(server)
    if asyncio.run(said(server.port)) != expected:
        left.append("the same seed gives other bytes than before")
    return crowd.tally, memory, left


def left_behind(server: Server, files_before: int) -> list[str]:
    """What should be gone and is not."""
    try:
        wait_until(server.is_idle, SETTLE_SECONDS, f"nothing left open: {server.load()}")
        wait_until(lambda: server.open_files() <= files_before + 2, SETTLE_SECONDS, "all sockets closed")
    except ViolationError as left:
        return [str(left)]
    return []


def run(wanted: Wanted) -> dict[str, Any]:
    """The whole story, as figures."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        wait_until(lambda: server.load()["state"] == "ready", START_SECONDS, "ready")
        tally, memory, left = soak(server, wanted)
    verdicts = {name: judge(levels, wanted.allowed_mib * 2**20) for name, levels in memory.resting.items()}
    grows = [f"memory of {name} grows: {verdict}" for name, verdict in verdicts.items() if not verdict.is_flat]
    return {
        "asked": asdict(wanted),
        "exchanges": tally.exchanges,
        "ended": {f"{kind}: {how}": count for (kind, how), count in sorted(tally.ended.items())},
        "heard_share": round(tally.heard_share, 3),
        "refusals": dict(tally.refusals),
        "memory_at_rest": {name: str(verdict) for name, verdict in verdicts.items()},
        "highest_memory_mib": {name: round(size / 2**20) for name, size in memory.highest.items()},
        "violations": tally.violations() + left + grows,
    }


def main() -> int:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200, help="at a time")
    parser.add_argument("--seconds", type=float, default=180.0, help="of all waves together; no exchange begins later")
    parser.add_argument("--waves", type=int, default=6, help="after each of them everybody goes home")
    parser.add_argument("--seed", type=int, default=0, help="of who does what")
    parser.add_argument(
        "--allowed-mib", type=float, default=8.0, help="growth at rest, beside 2 %%, in the second half"
    )
    figures = run(Wanted(**vars(parser.parse_args())))
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
