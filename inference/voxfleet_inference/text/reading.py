"""What the model is given for a text that is normalized.

Knows: the order of the steps: syntax and emoji are removed, sentences split, pause marks cut out, and each part written
out.
Does not know: rules, seconds of audio or requests.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxfleet_inference.text.normalization import language_of, normalized
from voxfleet_inference.text.pause_marks import PauseSplitter
from voxfleet_inference.text.plain_text import plain_text
from voxfleet_inference.text.sentences import TextSentence, split


@dataclass(frozen=True, slots=True)
class Reading:
    """One sentence: the pause that the text asks for before it, its text, and what the model is given."""

    pause_seconds: float
    text: str
    spoken: str


def sentences_to_normalize(text: str) -> tuple[TextSentence, ...]:
    """Return the sentences of a text without its syntax and emoji, split at pause marks, numbers as they are."""
    pauses = PauseSplitter()
    return tuple(part for sentence in split(plain_text(text)) for part in pauses.parts(sentence))


class TextReader:
    """Writes out the sentences of a text, in order; one of numbers and signs has the language of what comes before."""

    def __init__(self, *, has_rules: bool = True) -> None:
        self._has_rules = has_rules
        self._language = "en"

    def spoken_text(self, sentence: str) -> str:
        """Return a sentence written out; live text still has its Markdown, since it arrives in pieces."""
        plain = plain_text(sentence)
        self._language = language_of(plain) or self._language
        return normalized(plain, has_rules=self._has_rules, language=self._language)


def readings(text: str, *, has_rules: bool = True) -> tuple[Reading, ...]:
    """Return what a server speaks for a text with `normalize`, sentence by sentence."""
    reader = TextReader(has_rules=has_rules)
    return tuple(
        Reading(each.pause_before_seconds, each.text, reader.spoken_text(each.text))
        for each in sentences_to_normalize(text)
    )
