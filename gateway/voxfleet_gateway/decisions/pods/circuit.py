"""When a region whose pods all fail is left alone, and when one request tries it again. Pure.

Knows: closed, open and half-open; that each opening is twice as long as the one before it.
Does not know: clocks (the time is an argument); which attempts fail, and single pods (ejection.py).
"""

from dataclasses import dataclass

FAILURES_TO_OPEN = 5  # attempts in a row: two requests with their retries
FIRST_OPEN_SECONDS = 1.0
LONGEST_OPEN_SECONDS = 30.0  # a request that fails on any pod must not take the region away from others for longer


@dataclass(slots=True)
class RegionCircuit:
    """The failures of one region's attempts since one was answered."""

    failures: int = 0
    openings: int = 0  # in a row
    until_seconds: float = 0.0  # of the opening

    def record_failure(self, now_seconds: float, *, is_every_pod_failing: bool) -> bool:
        """Count a failed attempt; return whether it opened the circuit. While it is open none counts."""
        if self.left_seconds(now_seconds) > 0:
            return False
        self.failures += 1
        if not is_every_pod_failing or (not self.openings and self.failures < FAILURES_TO_OPEN):
            return False
        open_seconds = FIRST_OPEN_SECONDS * 2.0 ** min(self.openings, 16)
        self.until_seconds = now_seconds + min(LONGEST_OPEN_SECONDS, open_seconds)
        self.openings += 1
        return True

    def record_answer(self) -> None:
        """Close the circuit: a pod has answered, if only that it is full."""
        self.failures = self.openings = 0
        self.until_seconds = 0.0

    def left_seconds(self, now_seconds: float) -> float:
        """Return how long the region is still left alone; 0 when requests, or one, may be sent there."""
        return max(0.0, self.until_seconds - now_seconds)

    def allowed(self, free_requests: int, unanswered: int, now_seconds: float) -> int:
        """Return how many further requests may be sent: all that are free, none, or one that is waited for."""
        if not self.openings:
            return free_requests
        is_probed = unanswered > 0
        return 0 if is_probed or self.left_seconds(now_seconds) > 0 else min(1, free_requests)
