"""The words of one sentence with the seconds at which they are spoken.

Knows: the order of the steps. Does not know: events, speed, requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxfleet_inference.speech.words.durations import expected_seconds, pauses_after
from voxfleet_inference.speech.words.loudness import Floats
from voxfleet_inference.speech.words.placement import ExpectedWord, Weights, place
from voxfleet_inference.speech.words.word_spans import shares, words_of


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word as it was typed, and when it is spoken; seconds from the start of the sentence's audio."""

    word: str
    start_seconds: float
    end_seconds: float


def expected_words(text: str, spoken: str) -> list[ExpectedWord]:
    """Return what is expected of each word of `text` that is read as `spoken`."""
    typed, read = words_of(text), words_of(spoken)
    last = len(read) - 1
    seconds = [expected_seconds(each, is_last=index == last) for index, each in enumerate(read)]
    taken = shares(typed, read, seconds) if read else [expected_seconds(each) for each in typed]
    return [ExpectedWord(max(each, 0.01), pauses_after(word)) for word, each in zip(typed, taken, strict=True)]


def word_times(
    text: str, spoken: str, decibels: Floats, frame_seconds: float, weights: Weights | None = None
) -> tuple[WordTime, ...]:
    """Return the words of a sentence, in its order and without overlap, within its audio.

    Args:
        text: the sentence as it was typed.
        spoken: what the model was given for it.
        decibels: level of each frame of its audio, [frames].
        frame_seconds: length of a frame.
        weights: of the evidence; None for those that were measured best.
    """
    placed = place(expected_words(text, spoken), decibels, weights or Weights())
    return tuple(
        WordTime(word, bounds.start * frame_seconds, bounds.stop * frame_seconds)
        for word, bounds in zip(words_of(text), placed, strict=True)
    )
