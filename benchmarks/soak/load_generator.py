"""Load on a server: many clients at once, each one exchange after another, until the time is over.

Knows: how long a rejected client waits before it retries, and which outcomes are violations.
Does not know: what each kind of client does, or how the server was started.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from clients import KINDS, SPEAKING, Attempt, Kind
from exchange import Rejection, ViolationError
from live_clients import COMPLETED

HANG_SECONDS = 240.0  # per attempt; the longest text takes seconds, also when the server is full
PATIENCE_SECONDS = 240.0  # over all retries of one exchange
MAX_WAIT_SECONDS = 10.0  # cap on Retry-After: a soak lasts minutes
# Fewer completed requests than this prove little; below FEW_EXCHANGES the share is chance.
MIN_COMPLETED_SHARE, FEW_EXCHANGES = 0.5, 100


@dataclass(slots=True)
class ExchangeCounts:
    """How the exchanges of a run ended."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, outcome)
    rejections: Counter[int] = field(default_factory=Counter)  # by status; each was followed by a retry
    broken: Counter[str] = field(default_factory=Counter)  # by violation

    @property
    def exchanges(self) -> int:
        """The number of exchanges; one with retries counts once."""
        return self.ended.total() + self.broken.total()

    @property
    def speaking(self) -> int:
        """The number of ended exchanges that requested speech."""
        kinds = {kind.__name__ for kind in SPEAKING}
        return sum(count for (kind, _), count in self.ended.items() if kind in kinds)

    @property
    def completed_share(self) -> float:
        """The share of the speech requests whose audio was received completely."""
        completed = sum(count for (_, outcome), count in self.ended.items() if outcome == COMPLETED)
        return completed / max(1, self.speaking)

    def violations(self) -> list[str]:
        """Return what must not happen: violations of clients, and too few completed requests."""
        found = [f"{count} x {what}" for what, count in self.broken.items()]
        if self.speaking >= FEW_EXCHANGES and self.completed_share < MIN_COMPLETED_SHARE:
            found.append(
                f"only {self.completed_share:.0%} of {self.speaking} speech requests completed;"
                f" the minimum is {MIN_COMPLETED_SHARE:.0%}"
            )
        return found


@dataclass(slots=True)
class LoadGenerator:
    """Clients of one server, and the counts of their exchanges."""

    port: int
    counts: ExchangeCounts = field(default_factory=ExchangeCounts)

    async def run(self, clients: int, seconds: float, seed: str) -> None:
        """Run that many clients; exchanges that have started by the deadline are finished."""
        draws = (random.Random(f"{seed}/{number}") for number in range(clients))  # noqa: S311
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._run_client(draw, until) for draw in draws))

    async def _run_client(self, draw: random.Random, until: float) -> None:
        kinds, weights = zip(*KINDS.items(), strict=True)
        while time.monotonic() < until:
            kind = draw.choices(kinds, weights)[0]
            await self._count_exchange(kind, kind(draw), draw)

    async def _count_exchange(self, kind: Kind, attempt: Attempt, draw: random.Random) -> None:
        try:
            self.counts.ended[kind.__name__, await self._retry_until_served(attempt, draw)] += 1
        except ViolationError as violation:
            self.counts.broken[f"{kind.__name__}: {violation}"] += 1

    async def _retry_until_served(self, attempt: Attempt, draw: random.Random) -> str:
        """Run one exchange; a rejected attempt is repeated after its Retry-After. Returns the outcome."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            ended = await self._one_attempt(attempt)
            if not isinstance(ended, Rejection):
                return ended
            self.counts.rejections[ended.status] += 1
            await asyncio.sleep(wait_seconds(ended, draw))
        raise ViolationError(f"was rejected for {PATIENCE_SECONDS:g} s")

    async def _one_attempt(self, attempt: Attempt) -> str | Rejection:
        try:
            async with asyncio.timeout(HANG_SECONDS):
                return await attempt(self.port)
        except TimeoutError as error:
            raise ViolationError(f"hangs: no end after {HANG_SECONDS:g} s") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ViolationError(f"cut off ({type(error).__name__})") from error


def wait_seconds(rejection: Rejection, draw: random.Random) -> float:
    """Return Retry-After, capped, with up to 20 % jitter, so that rejected clients do not retry at once."""
    return min(rejection.retry_after_seconds or 0.0, MAX_WAIT_SECONDS) * draw.uniform(1.0, 1.2)
