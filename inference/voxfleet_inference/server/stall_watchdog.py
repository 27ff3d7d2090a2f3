"""Whether an engine that lives still works, judged from its reports and from what it was told.

Knows: that an engine which took a step owes another, or the word that there is none to take; that one at rest owes an
answer to whatever it is told; and that whoever was asleep himself cannot say for how long somebody else did nothing.
Does not know: clocks (moments are arguments), processes, or what happens to an engine that has stopped working.
"""

from __future__ import annotations


class StallWatchdog:
    """Watches one engine at a time."""

    def __init__(self, allowed_seconds: float, now: float) -> None:
        self.allowed_seconds = allowed_seconds  # for one step
        self._looked_at = self._awake_since = now
        self.rested(now)

    @property
    def look_seconds(self) -> float:
        """How often somebody should look."""
        return min(1.0, self.allowed_seconds / 8)

    def stepped(self, now: float) -> None:
        """It took a step."""
        self._reported_at, self._is_working = now, True

    def rested(self, now: float) -> None:
        """It has no step to take, or is another engine from here on, which was told nothing yet."""
        self._reported_at, self._is_working = now, False

    def look(self, now: float) -> None:
        """Somebody looks. Who comes far too late was stopped, and the engine maybe with him: the count begins anew."""
        if now - self._looked_at > self.allowed_seconds / 2:
            self._awake_since = now
        self._looked_at = now

    def owed_seconds(self, now: float, oldest_pending_at: float | None) -> float:
        """For how long it has owed something; `asked_at` is when it was told what it has not answered, if anything."""
        if not self._is_working and oldest_pending_at is None:
            return 0.0
        owed_since = (
            self._reported_at
            if oldest_pending_at is None or self._is_working
            else max(oldest_pending_at, self._reported_at)
        )
        return now - max(owed_since, self._awake_since)
