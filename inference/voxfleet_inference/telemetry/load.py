"""The server's load: what gateways route by, from counts and the newest measurements.

Knows: open requests, the engine's occupancy, the newest steps and first bytes, and how `Retry-After` follows from them.
Does not know: clocks (the time is an argument), HTTP, or how the engine works.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from voxfleet_inference.engine.messages import Occupancy

_KEPT_MEASUREMENTS: Final = 512  # enough for a 95th percentile; at 6 steps a second the last 80 s
_RATE_WINDOW_SECONDS: Final = 10.0  # averages over steps, and follows a change of load
_SECONDS_PER_WEIGHT: Final = 0.075  # of a Latin letter; a Chinese character weighs three
_MIN_RETRY_SECONDS: Final = 1
_MAX_RETRY_SECONDS: Final = 60  # less than the time for which RequestLimiter remembers a rejection


@dataclass(slots=True)
class Load:
    """Current counts and recent measurements."""

    open_requests: int = 0
    queued_audio_seconds: float = 0.0
    running_sequences: int = 0
    waiting_sequences: int = 0
    parked_sequences: int = 0  # of the running ones
    last_request_finished_at: datetime | None = None
    _step_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_MEASUREMENTS))
    _first_audio_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_MEASUREMENTS))
    _produced: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_KEPT_MEASUREMENTS))

    def step_done(self, now: float, step_seconds: float, audio_seconds: float) -> None:
        """Record one step of the engine."""
        self._step_seconds.append(step_seconds)
        self._produced.append((now, audio_seconds))

    def occupied(self, occupancy: Occupancy) -> None:
        """Take the engine's occupancy."""
        self.running_sequences, self.waiting_sequences = occupancy.running, occupancy.waiting
        self.parked_sequences = occupancy.parked

    def first_audio(self, seconds: float) -> None:
        """Record one request's time to its first byte of audio."""
        self._first_audio_seconds.append(seconds)

    @property
    def step_seconds_p50(self) -> float | None:
        """The median time of a step."""
        return quantile(self._step_seconds, 0.5)

    @property
    def first_audio_seconds_p95(self) -> float | None:
        """The 95th percentile of the time to the first byte of audio."""
        return quantile(self._first_audio_seconds, 0.95)

    def audio_seconds_per_second(self, now: float) -> float:
        """Return the audio made in the last ten seconds, per second."""
        recent = [(at, seconds) for at, seconds in self._produced if now - at <= _RATE_WINDOW_SECONDS]
        if not recent:
            return 0.0
        return sum(seconds for _, seconds in recent) / max(now - recent[0][0], 0.1)

    def free_rows(self, max_rows: int) -> int:
        """Return the rows of the next step that no sequence fills; a parked one fills none."""
        return max(0, max_rows - (self.running_sequences - self.parked_sequences))

    def retry_after_seconds(self, now: float) -> int:
        """Return `Retry-After`: the queued audio divided by the newest rate, from 1 to 60 s."""
        rate = max(self.audio_seconds_per_second(now), 0.1)
        return math.ceil(min(max(self.queued_audio_seconds / rate, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS))


def expected_audio_seconds(text_weight: int) -> float:
    """Estimate the audio of a text from its weight (`text.sentences.weight`)."""
    return text_weight * _SECONDS_PER_WEIGHT


def quantile(values: Sequence[float] | deque[float], share: float) -> float | None:
    """Return the value that a `share` of the values, from 0 to 1, does not exceed; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
