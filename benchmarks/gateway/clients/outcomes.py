"""What became of the requests that one side was sent, as figures. Pure.

Knows: percentiles, rates, chunks that were late. Does not know: how requests are sent, how tables look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clients.audio import CHUNK_BYTES, CHUNK_SECONDS, ChunkTiming

LATE_SECONDS = 0.160  # a chunk that was under way for longer is late for a playback one chunk ahead
PERCENTS = (50, 95, 99)


@dataclass(slots=True)
class Outcome:
    """One request: when it was due, its first byte, its end; `error` is None for a complete response."""

    due_at: float
    first_at: float | None = None
    ended_at: float = 0.0
    body_bytes: int = 0
    error: str | None = "not sent"
    chunks: ChunkTiming | None = None

    @property
    def first_byte_seconds(self) -> float | None:
        """Seconds from the moment that the request was due to the first byte of the body."""
        return None if self.first_at is None else self.first_at - self.due_at

    @property
    def total_seconds(self) -> float:
        """Seconds from the moment that the request was due to the last byte."""
        return self.ended_at - self.due_at

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio in the body."""
        return self.body_bytes / CHUNK_BYTES * CHUNK_SECONDS


@dataclass(frozen=True, slots=True)
class ChunkFigures:
    """The chunks of all streams of one side."""

    chunks: int
    age_ms: dict[str, float]
    max_age_ms: float
    late: int  # under way for longer than LATE_SECONDS
    streams_with_underruns: int
    stalled_seconds: float


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least this percentage of the values do not exceed (nearest rank)."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    return {f"p{percent}": round(1000 * percentile(seconds, percent), 3) for percent in PERCENTS}


def first_bytes(outcomes: Iterable[Outcome]) -> list[float]:
    """Return the seconds to the first byte of the complete responses."""
    return [
        outcome.first_byte_seconds
        for outcome in outcomes
        if outcome.error is None and outcome.first_byte_seconds is not None
    ]


def totals(outcomes: Iterable[Outcome]) -> list[float]:
    """Return the seconds to the last byte of the complete responses."""
    return [outcome.total_seconds for outcome in outcomes if outcome.error is None]


def chunk_figures(outcomes: Iterable[Outcome]) -> ChunkFigures:
    """Return the figures of all chunks that arrived, those of failed streams included."""
    timings = [outcome.chunks for outcome in outcomes if outcome.chunks is not None]
    ages = [age for timing in timings for age in timing.ages()]
    stalls = [timing.stalls(CHUNK_SECONDS) for timing in timings]
    return ChunkFigures(
        chunks=len(ages),
        age_ms=percentiles_ms(ages),
        max_age_ms=round(1000 * max(ages, default=math.nan), 3),
        late=sum(age > LATE_SECONDS for age in ages),
        streams_with_underruns=sum(bool(each) for each in stalls),
        stalled_seconds=round(sum(map(sum, stalls)), 3),
    )


def ratio(value: float, other: float) -> float | None:
    """Return how many times the other value this is; None where the other is not above zero."""
    return round(value / other, 2) if other > 0 else None
