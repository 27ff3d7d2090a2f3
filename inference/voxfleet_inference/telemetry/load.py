"""How busy the server is, from what was counted and measured lately.

Knows: open requests, the newest steps and first bytes, and what they say about waiting.
Does not know: clocks (moments are arguments), HTTP or the engine's insides.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

_KEPT_MEASUREMENTS: Final = 512
_RATE_WINDOW_SECONDS: Final = 10.0
_SECONDS_PER_WEIGHT: Final = 0.075  # a Latin letter; a Chinese character weighs three
_MIN_RETRY_SECONDS: Final = 1
_MAX_RETRY_SECONDS: Final = 60


@dataclass(slots=True)
class Load:
    """Counts and recent measurements."""

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
        """Count one step of the engine."""
        self._step_seconds.append(step_seconds)
        self._produced.append((now, audio_seconds))

    def first_audio(self, seconds: float) -> None:
        """Count one request's wait for its first byte."""
        self._first_audio_seconds.append(seconds)

    @property
    def step_seconds_p50(self) -> float | None:
        """The median step."""
        return quantile(self._step_seconds, 0.5)

    @property
    def first_audio_seconds_p95(self) -> float | None:
        """What 95 of 100 requests waited at most for their first byte."""
        return quantile(self._first_audio_seconds, 0.95)

    def audio_seconds_per_second(self, now: float) -> float:
        """Audio made in the newest seconds, per second."""
        recent = [(at, seconds) for at, seconds in self._produced if now - at <= _RATE_WINDOW_SECONDS]
        if not recent:
            return 0.0
        return sum(seconds for _, seconds in recent) / max(now - recent[0][0], 0.1)

    def free_rows(self, max_rows: int) -> int:
        """Rows of the next step that nobody has."""
        return max(0, max_rows - (self.running_sequences - self.parked_sequences))

    def retry_after_seconds(self, now: float) -> int:
        """When a refused client may find room: the queued audio at the newest rate, within bounds."""
        rate = max(self.audio_seconds_per_second(now), 0.1)
        return math.ceil(min(max(self.queued_audio_seconds / rate, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS))


def expected_audio_seconds(text_weight: int) -> float:
    """How long a text of this weight is likely to be spoken."""
    return text_weight * _SECONDS_PER_WEIGHT


def quantile(values: Sequence[float] | deque[float], share: float) -> float | None:
    """The value that `share` of the values do not exceed; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
