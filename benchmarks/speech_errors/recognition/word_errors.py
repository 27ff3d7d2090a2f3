"""Word errors between the text that was to be spoken and the text that was recognised.

Both sides pass through Whisper's own normalizer of English first, so that "twenty three dollars" equals "$23".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

_NORMALIZER = EnglishTextNormalizer()
# What Whisper writes for the same sounds as the normalizer's other form: "seven thirty" becomes 730 there, but Whisper
# writes 7:30 or 7.30; "May third" becomes may 3rd, but Whisper writes May 3.
_CLOCK_TIME = re.compile(r"(?<=\d)[:.](?=\d\d\b)")
_MONTHS = "january february march april may june july august september october november december".replace(" ", "|")
_DAY_OF_MONTH = re.compile(rf"(?<=\b)({_MONTHS}) (\d\d?)(st|nd|rd|th)\b")


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Substituted, deleted and inserted words, and the words of the reference."""

    errors: int
    words: int

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.errors + other.errors, self.words + other.words)

    @property
    def rate(self) -> float:
        """Errors per word of the reference; above 1 if more words were inserted than the reference has."""
        return self.errors / max(1, self.words)


def normalized(text: str) -> str:
    """Return lower-case words without punctuation, numbers in digits."""
    words = str(_NORMALIZER(text.replace(":", "."))).strip()
    return _DAY_OF_MONTH.sub(r"\1 \2", _CLOCK_TIME.sub("", words))


def count_word_errors(reference: str, hypothesis: str) -> WordErrors:
    """Compare two texts after normalization."""
    expected, found = normalized(reference), normalized(hypothesis)
    if not expected:
        return WordErrors(errors=len(found.split()), words=0)  # jiwer rejects an empty reference
    counts = jiwer.process_words(expected, found)
    return WordErrors(counts.substitutions + counts.deletions + counts.insertions, len(expected.split()))
