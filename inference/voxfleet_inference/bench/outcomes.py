"""What became of the requests, and what that says about the server.

Knows: moments, arrivals of audio, percentiles.
Does not know: clocks, sockets or how the figures are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from voxfleet_inference.bench.playback import Arrival, first_audio_at, playback


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request, in seconds since the start of the run."""

    due_at: float  # when it should have been sent; a sender who is late does not make the server look quick
    sent_at: float
    ended_at: float
    arrivals: tuple[Arrival, ...] = ()
    error: str | None = None  # its kind

    @property
    def audio_seconds(self) -> float:
        """Audio that arrived."""
        return self.arrivals[-1].audio_seconds if self.arrivals else 0.0

    @property
    def first_audio_seconds(self) -> float | None:
        """From the moment it was due to its first audio."""
        heard_at = first_audio_at(self.arrivals)
        return None if heard_at is None else heard_at - self.due_at

    @property
    def real_time_factor(self) -> float:
        """Seconds of waiting per second of audio."""
        return (self.ended_at - self.sent_at) / self.audio_seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles, each one of the measured values."""

    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run in figures."""

    seconds: float
    completed: int
    errors: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0  # interrupted; nobody's fault
    audio_seconds: float = 0.0
    first_audio_seconds: Spread | None = None  # of completed requests, like all below; None without any
    real_time_factor: Spread | None = None
    underruns: int = 0
    streams_with_underruns: int = 0
    stalled_seconds: float = 0.0
    latest_start_seconds: float = 0.0  # how late the client itself was

    @property
    def audio_seconds_per_second(self) -> float:
        """What all listeners together received."""
        return self.audio_seconds / self.seconds if self.seconds else 0.0


def summary_of(
    outcomes: Sequence[Outcome], seconds: float, *, head_start_seconds: float = 0.0, unfinished: int = 0
) -> Summary:
    """The figures of a run that took so long."""
    complete = [each for each in outcomes if each.error is None]
    plays = [playback(each.arrivals, head_start_seconds) for each in complete]
    waits = [each.first_audio_seconds for each in complete]
    return Summary(
        seconds=seconds,
        completed=len(complete),
        errors=dict(Counter(each.error for each in outcomes if each.error is not None).most_common()),
        unfinished=unfinished,
        audio_seconds=sum(each.audio_seconds for each in outcomes),
        first_audio_seconds=spread_of([wait for wait in waits if wait is not None]),
        real_time_factor=spread_of([each.real_time_factor for each in complete]),
        underruns=sum(play.underruns for play in plays),
        streams_with_underruns=sum(play.underruns > 0 for play in plays),
        stalled_seconds=sum(play.stalled_seconds for play in plays),
        latest_start_seconds=max((each.sent_at - each.due_at for each in outcomes), default=0.0),
    )


def spread_of(values: Sequence[float]) -> Spread | None:
    """Percentiles by nearest rank."""
    if not values:
        return None
    ordered = sorted(values)
    p50, p95, p99 = (ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.95, 0.99))
    return Spread(p50, p95, p99, ordered[-1])
