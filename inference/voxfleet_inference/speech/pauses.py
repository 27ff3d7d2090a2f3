"""How long a reader pauses between two sentences.

Knows: a table of marks and a table of breaks, and that silence which the model made already counts.
Does not know: samples, sentences' audio or who listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from voxfleet_inference.text.sentences import End, TextSentence

CLOSERS: Final = "\"'”’»」』）)]】》〉*_ "
# Seconds behind the last mark of a sentence; whatever else it ends with is a word that was cut off.
MARK_SECONDS: Final[Mapping[str, float]] = MappingProxyType(
    dict.fromkeys(".。．", 0.35)
    | dict.fromkeys("!！?？", 0.4)
    | dict.fromkeys("…", 0.5)
    | dict.fromkeys(";；:：—", 0.25)
    | dict.fromkeys(",，、", 0.15)
)
NO_MARK_SECONDS: Final = 0.05
# The least behind a break, whatever the mark; None leaves it to the mark.
BREAK_SECONDS: Final[Mapping[End, float]] = MappingProxyType(
    {End.CLAUSE: 0.0, End.SENTENCE: 0.2, End.LINE: 0.45, End.PARAGRAPH: 0.8}
)


def pause_seconds(sentence: TextSentence) -> float:
    """Silence between this sentence and the next."""
    mark = sentence.text.rstrip(CLOSERS)[-1:]
    return max(MARK_SECONDS.get(mark, NO_MARK_SECONDS), BREAK_SECONDS[sentence.end])


def missing_pause_seconds(sentence: TextSentence, trailing_silence_seconds: float) -> float:
    """What has to be added to the silence that the sentence ended with."""
    return max(0.0, pause_seconds(sentence) - trailing_silence_seconds)
