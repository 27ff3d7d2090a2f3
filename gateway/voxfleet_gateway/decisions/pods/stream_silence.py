"""How long a stream waits for its pod's next byte: not long for a pod that is gone, minutes for a slow one. Pure.

Knows: what shows that a pod is there: its load reports, and a byte of any of its streams. Both must be missing, since a
pod whose polls alone fail still speaks, and one that has parked a stream still reports.
Does not know: clocks (the time is an argument), how a stream is read or cut.
"""

from dataclasses import dataclass
from typing import Protocol

SILENCE_SECONDS = 120.0  # a parked sequence resumes well before; without a byte for so long the pod has broken off
GONE_SECONDS = 10.0  # of a pod that neither reports nor sends; twice what makes it dark
CHECK_SECONDS = 1.0  # a poll's period: the pod may go dark later than its stream falls silent
LATE_SECONDS = 2.0  # a check so late means that this process did not run, and has read neither bytes nor reports


class Sender(Protocol):
    """A pod, or the gateway of another region, by its load reports and the bytes of all its streams."""

    last_byte_seconds: float

    def is_dark(self, now_seconds: float) -> bool:
        """Whether it has reported and stopped."""


@dataclass(slots=True)
class StreamSilence:
    """One stream; `pod` is None for another gateway of this region, which watches its pod itself."""

    pod: Sender | None
    since_seconds: float = 0.0  # when the present wait began
    check_seconds: float = 0.0  # when it is to be looked at again

    def begin(self, now_seconds: float) -> None:
        """Begin to wait for a byte; what the client took to read the last one is not the pod's silence."""
        self.since_seconds = self.check_seconds = now_seconds

    def record_byte(self, now_seconds: float) -> None:
        """Record that the pod has sent something."""
        if self.pod is not None:
            self.pod.last_byte_seconds = now_seconds

    def wait_seconds(self, now_seconds: float) -> float | None:
        """Return how long to wait before this is asked again; None when the stream is to be cut."""
        if now_seconds - self.check_seconds > LATE_SECONDS:
            self.since_seconds = now_seconds
        left_seconds = self.since_seconds + SILENCE_SECONDS - now_seconds
        if self.pod is not None:
            gone_in_seconds = max(self.since_seconds, self.pod.last_byte_seconds) + GONE_SECONDS - now_seconds
            if gone_in_seconds <= 0 and self.pod.is_dark(now_seconds):
                return None
            left_seconds = min(left_seconds, max(CHECK_SECONDS, gone_in_seconds))
        if left_seconds <= 0:
            return None
        self.check_seconds = now_seconds + left_seconds
        return left_seconds
