"""The outcome of each request, and the statistics of a run.

Knows: times, arrivals of audio, percentiles.
Does not know: clocks, sockets or how statistics are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from voxfleet_inference.bench.playback import Arrival, first_audio_at, playback


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """One request; times are seconds since the start of the run."""

    due_at: float  # when it should have been sent: latency counts from here, or a late client hides a slow server
    sent_at: float
    ended_at: float
    arrivals: tuple[Arrival, ...] = ()
    error: str | None = None  # its kind, None if the response is complete

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio that arrived."""
        return self.arrivals[-1].audio_seconds if self.arrivals else 0.0

    @property
    def first_audio_seconds(self) -> float | None:
        """Seconds from `due_at` to the first audio; None without audio."""
        arrived_at = first_audio_at(self.arrivals)
        return None if arrived_at is None else arrived_at - self.due_at

    @property
    def real_time_factor(self) -> float:
        """Seconds from sending to the end, per second of audio."""
        return (self.ended_at - self.sent_at) / self.audio_seconds


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of measured values, each of them one of the values."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The statistics of a run."""

    seconds: float
    completed: int
    errors: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0  # open when the run was interrupted; counted as neither complete nor failed
    audio_seconds: float = 0.0
    first_audio_seconds: Percentiles | None = None  # of completed requests, like all below; None if there are none
    real_time_factor: Percentiles | None = None
    underruns: int = 0
    streams_with_underruns: int = 0
    stalled_seconds: float = 0.0
    latest_start_seconds: float = 0.0  # the client's own largest delay between due and sent

    @property
    def audio_seconds_per_second(self) -> float:
        """Throughput of all streams together."""
        return self.audio_seconds / self.seconds if self.seconds else 0.0


def summary_of(
    outcomes: Sequence[RequestOutcome], seconds: float, *, head_start_seconds: float = 0.0, unfinished: int = 0
) -> Summary:
    """Return the statistics of a run of `seconds`; `head_start_seconds` is the delay of each simulated player."""
    complete = [each for each in outcomes if each.error is None]
    plays = [playback(each.arrivals, head_start_seconds) for each in complete]
    waits = [each.first_audio_seconds for each in complete]
    return Summary(
        seconds=seconds,
        completed=len(complete),
        errors=dict(Counter(each.error for each in outcomes if each.error is not None).most_common()),
        unfinished=unfinished,
        audio_seconds=sum(each.audio_seconds for each in outcomes),
        first_audio_seconds=percentiles_of([wait for wait in waits if wait is not None]),
        real_time_factor=percentiles_of([each.real_time_factor for each in complete]),
        underruns=sum(play.underruns for play in plays),
        streams_with_underruns=sum(play.underruns > 0 for play in plays),
        stalled_seconds=sum(play.stalled_seconds for play in plays),
        latest_start_seconds=max((each.sent_at - each.due_at for each in outcomes), default=0.0),
    )


def percentiles_of(values: Sequence[float]) -> Percentiles | None:
    """Return percentiles by nearest rank; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    p50, p95, p99 = (ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.95, 0.99))
    return Percentiles(p50, p95, p99, ordered[-1])
