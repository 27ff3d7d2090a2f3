"""What happens while a text is spoken, as values: audio, and where its sentences begin and end.

Knows: the order `SentenceStarted, SpeechAudio..., SentenceEnded, (pause) SpeechAudio`, sentence after sentence, and
that the samples of all audio, joined, are the whole speech. Seconds are those of the speech as spoken, before any
change of speed.
Does not know: formats, HTTP or engines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class SentenceStarted:
    """The next audio is this sentence's."""

    index: int
    text: str
    at_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """Audio of a sentence, or of the pause behind it."""

    index: int
    samples: npt.NDArray[np.float32]  # [samples]
    patches: int = 1  # how many patches of the model it is; 0 is a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceEnded:
    """A sentence has been said; the pause behind it is not part of it."""

    index: int
    text: str
    at_seconds: float
    until_seconds: float
    patches: int
    text_tokens: int
    attempts: int  # 1: it was right at once
    is_truncated: bool  # it reached its bound and was faded out
    trailing_silence_seconds: float


SpeechEvent = SentenceStarted | SpeechAudio | SentenceEnded
