"""What a player would have done with audio that arrived so.

Knows: moments, and seconds of audio that had arrived by then.
Does not know: bytes, formats, requests or clocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """By this moment so much audio, in all, could be played."""

    at_seconds: float
    audio_seconds: float


@dataclass(frozen=True, slots=True)
class Playback:
    """How often a player ran dry before the end, and for how long in all."""

    underruns: int = 0
    stalled_seconds: float = 0.0


def playback(arrivals: Sequence[Arrival], head_start_seconds: float = 0.0) -> Playback:
    """A player starts with the first audio, or so much later, and stands still whenever it has nothing to play."""
    audible = tuple(_that_bring_audio(arrivals))
    if not audible:
        return Playback()
    underruns, stalled_seconds = 0, 0.0
    started_at = audible[0].at_seconds + head_start_seconds
    had_seconds = audible[0].audio_seconds
    for arrival in audible[1:]:
        dry_at = started_at + stalled_seconds + had_seconds
        if arrival.at_seconds > dry_at:
            underruns += 1
            stalled_seconds += arrival.at_seconds - dry_at
        had_seconds = arrival.audio_seconds
    return Playback(underruns, stalled_seconds)


def first_audio_at(arrivals: Sequence[Arrival]) -> float | None:
    """The moment of the first audio; None when there was none."""
    return next((arrival.at_seconds for arrival in arrivals if arrival.audio_seconds > 0), None)


def _that_bring_audio(arrivals: Sequence[Arrival]) -> Iterator[Arrival]:
    """Headers and halves of a frame are nothing to play: waiting for the rest is one stall, not two."""
    had_seconds = 0.0
    for arrival in arrivals:
        if arrival.audio_seconds > had_seconds:
            yield arrival
            had_seconds = arrival.audio_seconds
