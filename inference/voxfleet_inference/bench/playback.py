"""Simulates a player: how often, and for how long, its buffer would have been empty.

Knows: the times at which audio arrived, and how many seconds of it.
Does not know: bytes, formats, requests or clocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """The seconds of audio, in all, that had arrived at a time."""

    at_seconds: float
    audio_seconds: float


@dataclass(frozen=True, slots=True)
class Playback:
    """Underruns before the end of the audio, and the seconds that the player was stalled by them."""

    underruns: int = 0
    stalled_seconds: float = 0.0


def playback(arrivals: Sequence[Arrival], head_start_seconds: float = 0.0) -> Playback:
    """Play the audio from its first arrival plus `head_start_seconds`; the player stalls while its buffer is empty."""
    audible = tuple(_with_audio(arrivals))
    if not audible:
        return Playback()
    underruns, stalled_seconds = 0, 0.0
    started_at = audible[0].at_seconds + head_start_seconds
    buffered_seconds = audible[0].audio_seconds
    for arrival in audible[1:]:
        # The audio so far ends here; each earlier stall has moved its end.
        empty_at = started_at + stalled_seconds + buffered_seconds
        if arrival.at_seconds > empty_at:
            underruns += 1
            stalled_seconds += arrival.at_seconds - empty_at
        buffered_seconds = arrival.audio_seconds
    return Playback(underruns, stalled_seconds)


def first_audio_at(arrivals: Sequence[Arrival]) -> float | None:
    """Return the time of the first audio; None if there was none."""
    return next((arrival.at_seconds for arrival in arrivals if arrival.audio_seconds > 0), None)


def _with_audio(arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """Skip arrivals that complete no audio (headers, partial frames), which would split one stall into two."""
    buffered_seconds = 0.0
    for arrival in arrivals:
        if arrival.audio_seconds > buffered_seconds:
            yield arrival
            buffered_seconds = arrival.audio_seconds
