"""How long a pod whose attempts fail is left alone, and how long an attempt waits for its first byte. Pure.

Knows: which failures eject, growing back-off, what a pod's own report says about its queue.
Does not know: clocks (the time is an argument), how an attempt fails.
"""

from dataclasses import dataclass

from voxfleet_gateway.errors import UpstreamFailure

FIRST_EJECTION_SECONDS = 5.0
LONGEST_EJECTION_SECONDS = 300.0  # as Envoy's outlier detection
FIRST_BYTE_SECONDS = 10.0  # of a pod with an empty queue; a GPU needs 0.1 s, the smallest CPU a few
LONGEST_FIRST_BYTE_SECONDS = 300.0  # whatever a pod reports about itself
PATIENCE = 3.0  # times the wait that the pod's report suggests

# The pod is sent nothing until it reports again: its process or its network is in doubt, not one response.
QUARANTINING = frozenset({
    UpstreamFailure.CONNECT, UpstreamFailure.RESET, UpstreamFailure.TIMEOUT, UpstreamFailure.LOST,
})  # fmt: skip


@dataclass(slots=True)
class Ejection:
    """The failures of one pod; its load reports end none of it, since a pod that fails can still report well."""

    failures: int = 0
    until_seconds: float = 0.0

    def is_active(self, now_seconds: float) -> bool:
        """Whether the pod is left alone now, unless every other one is too."""
        return now_seconds < self.until_seconds

    def record_failure(self, now_seconds: float) -> bool:
        """Eject the pod, twice as long as the last time, and return True; while it is ejected, do neither.

        Attempts that began before an ejection thus don't prolong it.
        """
        if self.is_active(now_seconds):
            return False
        # The exponent is bounded: 2.0 ** 1024 would overflow.
        seconds = FIRST_EJECTION_SECONDS * 2.0 ** min(self.failures, 16)
        self.until_seconds = now_seconds + min(LONGEST_EJECTION_SECONDS, seconds)
        self.failures += 1
        return True

    def record_success(self) -> None:
        """Take back one failure, so that a pod that recovers is soon trusted as before."""
        self.failures = max(0, self.failures - 1)


def first_byte_limit_seconds(expected_seconds: float, hold_left_seconds: float) -> float:
    """Return how long an attempt may wait for its first byte.

    A pod that reports a queue gets PATIENCE times that wait, as long as the request itself may still be held.
    """
    wanted = min(PATIENCE * expected_seconds, hold_left_seconds, LONGEST_FIRST_BYTE_SECONDS)
    return max(FIRST_BYTE_SECONDS, wanted)
