"""How long a word is expected to take, from its letters alone.

Seconds at a common pace; only the ratios count, since a sentence's audio gives the pace. The constants of Latin words
were chosen on speech of the demo voice's teacher (decision 20); a Chinese syllable is about as long
as an English one, and scripts without vowels of their own are counted by character.

Knows: letters. Does not know: languages, sounds, audio.
"""

from __future__ import annotations

import re
from typing import Final

_VOWELS: Final = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ]+")
_SILENT_E: Final = re.compile(r"(?<=[^aeiouy])e(?=$|s$|d$)")
_LATIN: Final = re.compile(r"[a-zà-öø-ÿ]")
PER_WORD: Final = 0.059
PER_SYLLABLE: Final = 0.048
PER_LETTER: Final = 0.056
BEFORE_PAUSE: Final = 0.060  # the last word before a mark or the end is drawn out
UNSTRESSED: Final = 0.6  # of its length: what English reduces
_UNSTRESSED_WORDS: Final = frozenset({
    "a", "an", "the", "and", "or", "but", "nor", "as", "at", "by", "for", "from", "in", "into", "of", "on",
    "onto", "to", "up", "with", "than", "that", "if", "so", "is", "am", "are", "was", "were", "be", "been",
    "has", "have", "had", "do", "does", "did", "can", "could", "will", "would", "shall", "should", "may",
    "might", "must", "i", "me", "my", "we", "us", "our", "you", "your", "he", "him", "his", "she", "her", "it",
    "its", "they", "them", "their", "this", "these", "those", "there", "some", "any", "not",
})  # fmt: skip
_PER_CHARACTER: Final = 0.22  # of a script that is not Latin: a Chinese character is a syllable
_PER_DIGIT: Final = 0.3  # what no normalization has spelt out
_PAUSE_MARKS: Final = frozenset(",.;:!?…—，。；：！？、")


def expected_seconds(word: str, *, is_last: bool = False) -> float:
    """Return how long a word takes to speak, with the marks behind it."""
    lowered = word.casefold()
    seconds = sum(_PER_DIGIT for each in lowered if each.isdigit())
    latin = "".join(_LATIN.findall(lowered))
    seconds += _PER_CHARACTER * sum(each.isalpha() and not _LATIN.match(each) for each in lowered)
    if latin:
        full = PER_WORD + PER_SYLLABLE * syllables(latin) + PER_LETTER * len(latin)
        seconds += full * (UNSTRESSED if latin in _UNSTRESSED_WORDS else 1.0)
    return seconds + (BEFORE_PAUSE if is_last or pauses_after(word) else 0.0)


def syllables(letters: str) -> int:
    """Return how many groups of vowels a word in small Latin letters has, one at least; a final e is silent."""
    return max(1, len(_VOWELS.findall(_SILENT_E.sub("", letters))))


def pauses_after(word: str) -> bool:
    """Return whether a reader pauses after the word: a mark ends it, perhaps before a closing quote or bracket."""
    return word.rstrip("\"'”’)]」』）》】")[-1:] in _PAUSE_MARKS
