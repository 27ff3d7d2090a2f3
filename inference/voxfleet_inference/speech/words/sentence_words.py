"""The words of each sentence of a speech, found when its last audio was made.

Knows: the events of a speech. Does not know: requests, formats, or the speed at which it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.words.loudness import Loudness
from voxfleet_inference.speech.words.timing import word_times


@dataclass(frozen=True, slots=True)
class SentenceWords:
    """A sentence and its words, in seconds of the audio as sent, rounded."""

    index: int
    text: str
    at_seconds: float
    until_seconds: float
    words: tuple[dict[str, str | float], ...]  # word, start, end


class WordFinder:
    """Takes every event of a speech; has the words of a sentence once it has ended."""

    def __init__(self, sample_rate: int, played_at: Callable[[float], float]) -> None:
        self._sample_rate = sample_rate
        self._played_at = played_at  # seconds of the speech -> seconds of the audio as sent
        self._loudness = Loudness(sample_rate)

    def take(self, event: SpeechEvent) -> SentenceWords | None:
        """Return the words of the sentence that the event ends; None for every other event."""
        match event:
            case SentenceStarted():
                self._loudness = Loudness(self._sample_rate)
            case SpeechAudio() if event.patches:  # a pause belongs to no word
                self._loudness.add(event.samples)
            case SentenceEnded():
                return self._words(event)
        return None

    def _words(self, ended: SentenceEnded) -> SentenceWords:
        frame_seconds = self._loudness.frame_seconds
        found = word_times(ended.text, ended.spoken_text or ended.text, self._loudness.decibels(), frame_seconds)
        at = self._played_at
        starts = [at(ended.at_seconds + each.start_seconds) for each in found]
        ends = [at(ended.at_seconds + each.end_seconds) for each in found]
        words: tuple[dict[str, str | float], ...] = tuple(
            {"word": each.word, "start": start, "end": end}
            for each, start, end in zip(found, starts, ends, strict=True)
        )
        return SentenceWords(ended.index, ended.text, at(ended.at_seconds), at(ended.until_seconds), words)
