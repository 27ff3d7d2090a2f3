"""Two measures of a rate, for limits: a token bucket, and a sliding window. Pure.

Knows: amounts and times. Both treat a clock that goes back as one that stands still.
Does not know: what is counted, clocks (the time is an argument).
"""

import math
from dataclasses import dataclass, field

SLOTS = 60  # of a window; an amount counts for one slot longer than the window


@dataclass(slots=True)
class TokenBucket:
    """Tokens that refill at a steady rate up to a burst; within t seconds at most burst + rate * t are taken."""

    missing: float = 0.0  # tokens below the burst
    updated_seconds: float | None = None

    def take(self, rate: float, burst: float, now_seconds: float) -> float:
        """Take one token and return 0; without one, take nothing and return the seconds until there is one."""
        left = self.left(rate, burst, now_seconds)
        if left < 1:
            return (1 - left) / rate
        self.missing += 1
        return 0.0

    def left(self, rate: float, burst: float, now_seconds: float) -> float:
        """Return the tokens that are left."""
        last_seconds = now_seconds if self.updated_seconds is None else self.updated_seconds
        missing = self.missing - rate * max(0.0, now_seconds - last_seconds)
        self.missing = min(burst, max(0.0, missing))  # a burst may have become smaller
        self.updated_seconds = max(last_seconds, now_seconds)
        return burst - self.missing


@dataclass(slots=True)
class SlidingWindow:
    """Amounts of the last `window_seconds`, in slots of a 60th of it."""

    window_seconds: float
    amounts: dict[int, float] = field(default_factory=dict)  # by slot
    newest: int | None = None  # the slot of the latest time that was seen

    @property
    def slot_seconds(self) -> float:
        """The length of a slot."""
        return self.window_seconds / SLOTS

    def take(self, amount: float, share: float, limit: float, now_seconds: float) -> int | None:
        """Add the amount and return its slot; None, and nothing added, when it exceeds the share.

        One that is larger than the share and within the limit is added when the window is empty, or it never could be.
        """
        slot, used = self._advance(now_seconds), self.used(now_seconds)
        if used + amount > share and not (used == 0 and amount <= limit):
            return None
        self.amounts[slot] = self.amounts.get(slot, 0.0) + amount
        return slot

    def used(self, now_seconds: float) -> float:
        """Return the sum of the window."""
        self._advance(now_seconds)
        return math.fsum(self.amounts.values())

    def correct(self, slot: int, difference: float, now_seconds: float) -> None:
        """Correct an amount that was added: less of it in its own slot while that still counts, more of it now."""
        newest = self._advance(now_seconds)
        if difference > 0:
            self.amounts[newest] = self.amounts.get(newest, 0.0) + difference
        elif slot in self.amounts:
            self.amounts[slot] = max(0.0, self.amounts[slot] + difference)
            if self.amounts[slot] == 0:
                del self.amounts[slot]

    def wait_seconds(self, amount: float, share: float, now_seconds: float) -> float:
        """Return the seconds until enough has left the window, for an amount beyond the share until all of it has."""
        self._advance(now_seconds)
        left = self.used(now_seconds)
        for slot in sorted(self.amounts):
            left -= self.amounts[slot]
            if left + amount <= share or slot == max(self.amounts):
                return max(0.0, (slot + SLOTS + 1) * self.slot_seconds - now_seconds)
        return 0.0

    def _advance(self, now_seconds: float) -> int:
        """Drop what has left the window; return the present slot."""
        slot = math.floor(now_seconds / self.slot_seconds)
        newest = slot if self.newest is None else max(self.newest, slot)
        if newest != self.newest:
            # A slot counts until all of it lies before the window.
            self.amounts = {each: amount for each, amount in self.amounts.items() if each >= newest - SLOTS}
            self.newest = newest
        return newest
