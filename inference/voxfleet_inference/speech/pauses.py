"""The pause between two sentences.

Knows: seconds per punctuation mark and per break in the text. Silence at the end of the model's audio counts.
Does not know: samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from voxfleet_inference.text.sentences import End, TextSentence

CLOSERS: Final = "\"'”’»」』）)]】》〉*_ "
# Seconds after the last mark of a sentence. Without a mark it was cut inside a clause, where a reader hardly pauses.
MARK_SECONDS: Final[Mapping[str, float]] = MappingProxyType(
    dict.fromkeys(".。．", 0.35)
    | dict.fromkeys("!！?？", 0.4)
    | dict.fromkeys("…", 0.5)
    | dict.fromkeys(";；:：—", 0.25)
    | dict.fromkeys(",，、", 0.15)
)
NO_MARK_SECONDS: Final = 0.05
# Least seconds after a break, whatever the mark.
BREAK_SECONDS: Final[Mapping[End, float]] = MappingProxyType(
    {End.CLAUSE: 0.0, End.SENTENCE: 0.2, End.LINE: 0.45, End.PARAGRAPH: 0.8}
)


def pause_seconds(sentence: TextSentence) -> float:
    """Return the seconds of silence between this sentence and the next."""
    mark = sentence.text.rstrip(CLOSERS)[-1:]
    return max(MARK_SECONDS.get(mark, NO_MARK_SECONDS), BREAK_SECONDS[sentence.end])


def missing_pause_seconds(sentence: TextSentence, trailing_silence_seconds: float) -> float:
    """Return the seconds to add to the silence with which the sentence's audio ended."""
    return max(0.0, pause_seconds(sentence) - trailing_silence_seconds)
