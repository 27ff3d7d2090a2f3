"""Whether an engine that lives still works, judged from what it reports and from what its readers wait for.

Knows: that an engine which has found no step to take owes nobody anything until it is told something new, and that
whoever was asleep himself cannot say for how long somebody else did nothing.
Does not know: clocks (moments are arguments), processes, or what happens to an engine that has stopped working.
"""

from __future__ import annotations

from collections.abc import Collection

from voxfleet_inference.engine.sequences import Wish


class StepWatch:
    """Watches one engine at a time."""

    def __init__(self, allowed_seconds: float, now: float) -> None:
        self.allowed_seconds = allowed_seconds  # for one step
        self._looked_at = self._awake_since = now
        self.begin(now)

    @property
    def look_seconds(self) -> float:
        """How often somebody should look."""
        return min(1.0, self.allowed_seconds / 8)

    def begin(self, now: float) -> None:
        """It is another engine from here on."""
        self._reported_at = now
        self._excused_commands = 0  # who asked by one of them waits by the engine's own decision

    def stepped(self, now: float) -> None:
        """It took a step; another one follows, or it says that there is none to take."""
        self._reported_at, self._excused_commands = now, 0

    def rested(self, now: float, commands: int) -> None:
        """It had obeyed so many commands and found no step to take."""
        self._reported_at, self._excused_commands = now, commands

    def look(self, now: float) -> None:
        """Somebody looks. Who comes far too late was stopped, and the engine maybe with him: the count begins anew."""
        if now - self._looked_at > self.allowed_seconds / 2:
            self._awake_since = now
        self._looked_at = now

    def owed_seconds(self, now: float, wishes: Collection[Wish]) -> float:
        """For how long the engine has owed a step; 0 while it owes none."""
        owed = [wish.since for wish in wishes if wish.command > self._excused_commands]
        return now - max(min(owed), self._reported_at, self._awake_since) if owed else 0.0
