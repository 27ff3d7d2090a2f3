"""The events of one speech: audio, and where its sentences start and end.

Knows: the order `SentenceStarted, SpeechAudio..., SentenceEnded, (pause) SpeechAudio` of each sentence; a text that
asks for a pause at its start has that one first. The samples of
all SpeechAudio, joined, are the whole speech; seconds count from its start, before any change of speed.
Does not know: formats, HTTP or engines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class SentenceStarted:
    """The audio that follows belongs to this sentence."""

    index: int
    text: str
    at_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """Audio of a sentence, or of a pause beside it."""

    index: int
    samples: npt.NDArray[np.float32]  # [samples]
    patches: int = 1  # patches of the model in it; 0 for a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceEnded:
    """All audio of a sentence was sent; the pause after it is not part of it."""

    index: int
    text: str
    at_seconds: float
    until_seconds: float
    patches: int
    text_tokens: int
    attempts: int  # 1: the first attempt was no runaway
    is_truncated: bool  # it reached the most patches for its tokens and was faded out
    trailing_silence_seconds: float
    spoken_text: str = ""  # what the model was given for it; empty: the text as it is


SpeechEvent = SentenceStarted | SpeechAudio | SentenceEnded
