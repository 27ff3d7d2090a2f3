"""Joins the patches of sentences into one speech: pauses between them, a fade where one was truncated, times.

Knows: the position in the speech. Takes patches, returns events; the server and `synthesize` share it.
Does not know: engines, queues or clocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voxfleet_inference.engine.messages import Float32Array, Patch
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.pauses import missing_pause_seconds
from voxfleet_inference.speech.shaping import faded_out, silence, trailing_silence_after
from voxfleet_inference.text.sentences import TextSentence


@dataclass(slots=True)
class _Current:
    """The sentence between `begin` and `end`."""

    index: int
    text_sentence: TextSentence
    at_sample: int
    patches: int = 0
    trailing_silence: int = 0  # samples
    is_truncated: bool = False


class Assembly:
    """One speech: for each sentence `begin`, `add_patch` for each patch, `end`."""

    def __init__(self, sample_rate: int, first_index: int = 0) -> None:
        self._sample_rate = sample_rate
        self._at_sample = 0
        # Kept back until another sentence begins: a speech does not end with a pause.
        self._pause: SpeechAudio | None = None
        self._silent_seconds = 0.0  # at the end of the newest sentence
        self._current: _Current | None = None
        self._next_index = first_index

    def begin(self, text_sentence: TextSentence) -> Iterator[SpeechEvent]:
        """Yield the pause before the next sentence, if there is one, and the start of the sentence."""
        pause = self._pause_before(text_sentence)
        if pause is not None:
            yield self._advance(pause)
            self._pause = None
        self._current = _Current(self._next_index, text_sentence, self._at_sample)
        self._next_index += 1
        yield SentenceStarted(self._current.index, text_sentence.text, self._seconds(self._at_sample))

    def add_patch(self, patch: Patch) -> SpeechAudio:
        """Return the audio of the current sentence's next patch; a truncated one is faded out."""
        current = self._begun()
        samples: Float32Array = faded_out(patch.samples, self._sample_rate) if patch.is_truncated else patch.samples
        current.patches += 1
        current.is_truncated |= patch.is_truncated
        current.trailing_silence = trailing_silence_after(current.trailing_silence, samples)
        return self._advance(SpeechAudio(current.index, samples))

    def end(self, *, text_tokens: int = 0, attempts: int = 1, spoken_text: str = "") -> SentenceEnded:
        """End the current sentence; return its times and what is counted of it."""
        current = self._begun()
        silent_seconds = self._silent_seconds = self._seconds(current.trailing_silence)
        pause = silence(missing_pause_seconds(current.text_sentence, silent_seconds), self._sample_rate)
        self._pause = SpeechAudio(current.index, pause, patches=0) if len(pause) else None
        self._current = None
        return SentenceEnded(
            index=current.index,
            text=current.text_sentence.text,
            at_seconds=self._seconds(current.at_sample),
            until_seconds=self._seconds(self._at_sample),
            patches=current.patches,
            text_tokens=text_tokens,
            attempts=attempts,
            is_truncated=current.is_truncated,
            trailing_silence_seconds=silent_seconds,
            spoken_text=spoken_text,
        )

    def _pause_before(self, text_sentence: TextSentence) -> SpeechAudio | None:
        """Return the longer one of the pause that was kept back and the one that the text asks for."""
        samples = silence(text_sentence.pause_before_seconds - self._silent_seconds, self._sample_rate)
        if not len(samples) or (self._pause is not None and len(self._pause.samples) >= len(samples)):
            return self._pause
        index = self._next_index if self._pause is None else self._pause.index
        return SpeechAudio(index, samples, patches=0)

    def _advance(self, audio: SpeechAudio) -> SpeechAudio:
        self._at_sample += len(audio.samples)
        return audio

    def _seconds(self, samples: int) -> float:
        return samples / self._sample_rate

    def _begun(self) -> _Current:
        assert self._current is not None, "begin() comes first"  # noqa: S101
        return self._current
