"""Where the words of a sentence lie in its audio, by its loudness and the words' expected lengths.

The best division of the audio into word, pause, word, ... by dynamic programming over frames: a pause is quiet and more
likely after a mark, a word is loud and about as long as expected, and two words meet where the audio is less loud.
No model, no dictionary: a few milliseconds for a sentence, and any language.

Knows: levels and expected seconds. Does not know: text, sample rates, what is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from voxfleet_inference.speech.words.loudness import Floats

_IMPOSSIBLE: Final = -1e9
_CLOSURE_FRAMES: Final = 8  # a stop is silent for no longer
_LOUD_PERCENTILE: Final = 90


@dataclass(frozen=True, slots=True)
class ExpectedWord:
    """A word that is to be found."""

    seconds: float
    pauses_after: bool


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each kind of evidence counts, in natural logarithms; chosen on synthetic speech (decision 20)."""

    quiet_decibels: float = 37.0  # below the loud frames: half silence, half speech
    slope_decibels: float = 3.6
    most_quiet_in_word: float = 3.2  # what one silent frame within a word costs at most: closures of stops are silent
    duration_spread: float = 0.21  # of the logarithm of a word's length
    duration_weight: float = 0.75
    meeting: float = 0.045  # of a dB of dip, where two words meet without a pause
    pause_after_mark: float = -0.5
    pause_elsewhere: float = -9.4
    least_pause_frames: int = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """The frames [start, stop) of a word."""

    start: int
    stop: int


def place(words: Sequence[ExpectedWord], decibels: Floats, weights: Weights) -> list[Bounds]:
    """Return the bounds of each word; an even share of the frames where there are hardly more frames than words."""
    if len(decibels) < 2 * len(words) + weights.least_pause_frames:
        return by_share(words, 0, len(decibels))
    evidence = _Evidence(decibels, weights)
    lengths = _expected_frames(words, evidence)
    return _traced(*_forward(words, lengths, evidence, weights))


def by_share(words: Sequence[ExpectedWord], start: int, stop: int) -> list[Bounds]:
    """Divide frames [start, stop) by expected seconds alone."""
    ends = np.cumsum([0.0, *(each.seconds for each in words)])
    edges = np.round(start + ends / max(ends[-1], 1e-9) * (stop - start)).astype(int)
    return [Bounds(int(left), int(right)) for left, right in pairwise(edges)]


class _Evidence:
    """What the levels say of each frame: [frames] each, sums [frames + 1]."""

    def __init__(self, decibels: Floats, weights: Weights) -> None:
        loud = float(np.percentile(decibels, _LOUD_PERCENTILE))
        margin = (decibels - (loud - weights.quiet_decibels)) / weights.slope_decibels
        in_word = np.maximum(-np.logaddexp(0, -margin), -weights.most_quiet_in_word)
        in_pause = np.maximum(-np.logaddexp(0, margin), -3 * weights.most_quiet_in_word)
        self.is_quiet = margin < 0
        self.word_sums = np.concatenate([[0.0], np.cumsum(in_word)])
        self.pause_sums = np.concatenate([[0.0], np.cumsum(in_pause)])
        smooth = np.convolve(np.pad(decibels, 1, mode="edge"), np.ones(3) / 3, "valid")
        dips = np.clip(loud - smooth, 0, weights.quiet_decibels) * weights.meeting
        self.meeting = np.concatenate([[0.0], (dips[:-1] + dips[1:]) / 2, [0.0]])  # at the bounds between frames


@dataclass(frozen=True, slots=True)
class _Step:
    """For each frame at which a word may end: where it began, and where the one before had ended."""

    starts: np.ndarray[tuple[int], np.dtype[np.intp]]
    before: np.ndarray[tuple[int], np.dtype[np.intp]]


def _expected_frames(words: Sequence[ExpectedWord], evidence: _Evidence) -> list[float]:
    """Return the expected frames of each word at the pace of this audio: silence that is long enough is no speech."""
    quiet = np.flatnonzero(np.diff(np.concatenate([[0], evidence.is_quiet.astype(int), [0]])))
    silent = sum(
        stop - start for start, stop in zip(quiet[::2], quiet[1::2], strict=True) if stop - start > _CLOSURE_FRAMES
    )
    spoken = max(len(evidence.is_quiet) - silent, len(words))
    total = max(sum(each.seconds for each in words), 1e-9)
    return [max(1.0, each.seconds / total * spoken) for each in words]


def _forward(
    words: Sequence[ExpectedWord], lengths: Sequence[float], evidence: _Evidence, weights: Weights
) -> tuple[list[_Step], int]:
    """Return a step for each word, and where the last one ends."""
    entered = evidence.pause_sums.copy()  # the score of beginning the first word at each bound: silence before it
    before = np.zeros(len(entered), np.intp)
    steps: list[_Step] = []
    for index, word in enumerate(words):
        ended, starts = _spoken(entered, lengths[index], evidence, weights)
        steps.append(_Step(starts, before))
        entered, before = _entered(ended, word, evidence, weights)
    return steps, int((ended - evidence.pause_sums).argmax())  # silence behind it


def _spoken(
    entered: Floats, expected: float, evidence: _Evidence, weights: Weights
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Return the best score of a word that ends at each bound, and where it began."""
    longest = min(len(entered) - 1, int(4 * expected) + 20)
    frames = np.arange(longest, 0, -1)  # a window's first bound is the farthest
    prior = -weights.duration_weight * (np.log(frames / expected) / weights.duration_spread) ** 2
    padded = np.concatenate([np.full(longest, _IMPOSSIBLE), entered - evidence.word_sums])
    windows = np.lib.stride_tricks.sliding_window_view(padded, longest)[: len(entered)] + prior  # [bounds, frames]
    best = windows.argmax(axis=1)
    bounds = np.arange(len(entered))
    return windows[bounds, best] + evidence.word_sums, bounds - longest + best


def _entered(
    ended: Floats, word: ExpectedWord, evidence: _Evidence, weights: Weights
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Return the best score of beginning the next word at each bound, and where this one had ended."""
    bounds = np.arange(len(ended))
    direct = ended + evidence.meeting
    offered = ended - evidence.pause_sums
    best = np.maximum.accumulate(offered)
    where = np.maximum.accumulate(np.where(offered >= best, bounds, 0))
    least = weights.least_pause_frames
    entry = weights.pause_after_mark if word.pauses_after else weights.pause_elsewhere
    paused = np.concatenate([np.full(least, _IMPOSSIBLE), best[:-least]]) + evidence.pause_sums + entry
    ended_at = np.concatenate([np.zeros(least, np.intp), where[:-least]])
    is_direct = direct >= paused
    return np.where(is_direct, direct, paused), np.where(is_direct, bounds, ended_at)


def _traced(steps: list[_Step], stop: int) -> list[Bounds]:
    found: list[Bounds] = []
    for step in reversed(steps):
        start = int(step.starts[stop])
        found.append(Bounds(start, stop))
        stop = int(step.before[start])
    return found[::-1]
