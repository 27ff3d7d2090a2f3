"""Many clients at once, each of one kind after another, until the time is over and everybody was served.

Knows: how long who is refused waits, and what counts as broken.
Does not know: what the kinds do, or what the server is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from clients import HEARD, KINDS, SPEAKING, Attempt, Kind
from exchange import Refusal, ViolationError

HANG_SECONDS = 240.0
PATIENCE_SECONDS = 240.0  # of one who is refused again and again
LONGEST_WAIT_SECONDS = 10.0  # of what Retry-After says; the test is shorter than a listener's evening
LEAST_HEARD_SHARE, FEW_EXCHANGES = 0.5, 100


@dataclass(slots=True)
class Tally:
    """What became of everybody."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, how)
    refusals: Counter[int] = field(default_factory=Counter)  # by status, of those who came back
    broken: Counter[str] = field(default_factory=Counter)

    @property
    def exchanges(self) -> int:
        """How many there were, each with all its attempts."""
        return self.ended.total() + self.broken.total()

    @property
    def speaking(self) -> int:
        """Those of them that asked for speech."""
        kinds = {kind.__name__ for kind in SPEAKING}
        return sum(count for (kind, _), count in self.ended.items() if kind in kinds)

    @property
    def heard_share(self) -> float:
        """Which part of those was heard to the end."""
        heard = sum(count for (_, how), count in self.ended.items() if how == HEARD)
        return heard / max(1, self.speaking)

    def violations(self) -> list[str]:
        """What must not happen; a soak whose listeners hear little proves little."""
        found = [f"{count} x {what}" for what, count in self.broken.items()]
        if self.speaking >= FEW_EXCHANGES and self.heard_share < LEAST_HEARD_SHARE:
            found.append(f"only {self.heard_share:.0%} of {self.speaking} requests for speech were heard to the end")
        return found


@dataclass(slots=True)
class Crowd:
    """Clients at one port."""

    port: int
    tally: Tally = field(default_factory=Tally)

    async def come(self, clients: int, seconds: float, seed: str) -> None:
        """So many, for so long; whoever has begun then is still served."""
        draws = (random.Random(f"{seed}/{number}") for number in range(clients))  # noqa: S311
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._keep_going(draw, until) for draw in draws))

    async def _keep_going(self, draw: random.Random, until: float) -> None:
        kinds, weights = zip(*KINDS.items(), strict=True)
        while time.monotonic() < until:
            kind = draw.choices(kinds, weights)[0]
            await self._until_it_ends(kind, kind(draw), draw)

    async def _until_it_ends(self, kind: Kind, attempt: Attempt, draw: random.Random) -> None:
        try:
            self.tally.ended[kind.__name__, await self._served(attempt, draw)] += 1
        except ViolationError as violation:
            self.tally.broken[f"{kind.__name__}: {violation}"] += 1

    async def _served(self, attempt: Attempt, draw: random.Random) -> str:
        """One exchange: who is refused for now waits as long as told, and asks the same again."""
        lost_patience_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < lost_patience_at:
            ended = await self._one_attempt(attempt)
            if not isinstance(ended, Refusal):
                return ended
            self.tally.refusals[ended.status] += 1
            await asyncio.sleep(waiting_seconds(ended, draw))
        raise ViolationError(f"was refused for {PATIENCE_SECONDS:g} s")

    async def _one_attempt(self, attempt: Attempt) -> str | Refusal:
        try:
            async with asyncio.timeout(HANG_SECONDS):
                return await attempt(self.port)
        except TimeoutError as error:
            raise ViolationError("hangs") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ViolationError(f"cut off ({type(error).__name__})") from error


def waiting_seconds(refusal: Refusal, draw: random.Random) -> float:
    """As told, but for the bound of a test, and never all at the same moment."""
    return min(refusal.retry_after_seconds or 0.0, LONGEST_WAIT_SECONDS) * draw.uniform(1.0, 1.2)
