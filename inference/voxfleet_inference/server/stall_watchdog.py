"""How long a living engine has failed to do work that it has, from its reports and its oldest pending command.

Knows: after a step the engine has to report another step or `Idle`; an idle engine has to process each command; and a
suspended watchdog cannot measure a stall.
Does not know: clocks (the time is an argument), processes, or what is done about a stalled engine.
"""

from __future__ import annotations


class StallWatchdog:
    """Measures the stall of one engine at a time."""

    def __init__(self, allowed_seconds: float, now: float) -> None:
        self.allowed_seconds = allowed_seconds  # for one step
        self._checked_at = self._watching_since = now
        self.record_idle(now)

    @property
    def check_interval_seconds(self) -> float:
        """How often `record_check` is due; an eighth of a step's time keeps the measured stall within 13 % of it."""
        return min(1.0, self.allowed_seconds / 8)

    def record_step(self, now: float) -> None:
        """Record a step; the next step, or `Idle`, is due from now on."""
        self._reported_at, self._is_working = now, True

    def record_idle(self, now: float) -> None:
        """Record that no step is due: the engine reported `Idle`, or another engine has replaced it."""
        self._reported_at, self._is_working = now, False

    def record_check(self, now: float) -> None:
        """Record a check. A check that comes late means this process was suspended, so the stall timer restarts."""
        if now - self._checked_at > self.allowed_seconds / 2:
            self._watching_since = now
        self._checked_at = now

    def stalled_seconds(self, now: float, oldest_pending_at: float | None) -> float:
        """Return for how long work has been due.

        Args:
            now: on the clock of every other time given here.
            oldest_pending_at: when the oldest command that the engine has not processed was sent; None without one.
        """
        if not self._is_working and oldest_pending_at is None:
            return 0.0
        due_since = (
            self._reported_at
            if oldest_pending_at is None or self._is_working
            else max(oldest_pending_at, self._reported_at)
        )
        return now - max(due_since, self._watching_since)
