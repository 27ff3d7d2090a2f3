"""Draws texts of every length that the server sends: one to twenty-two words, or two sentences joined.

Knows: the mix of kinds and lengths, final marks, and how the text that the model reads differs from what is spoken.
Does not know: sounds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from voxfleet_voice.texts.grammar import expand
from voxfleet_voice.texts.word_list import WordList

MAX_WORDS: Final = 22
MAX_JOINED_WORDS: Final = 14  # each of two joined sentences
KINDS: Final[Mapping[str, float]] = {
    "statement": 5,
    "question": 1.6,
    "command": 0.8,
    "figures": 1.3,
    "remark": 0.9,
    "salad": 1.6,
}
_ENDS: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("?", "?", "?", "?", "."),
    "command": (".", ".", "!"),
    "remark": (".", ".", "!", "?", ",", "."),
    "statement": (".",) * 10 + ("!", ",", ";", ":"),  # a long sentence is cut at a comma and sent in two parts
}
_JOINED: Final = 0.18
_JOINED_WITHOUT_SPACE: Final = 0.25  # a prompt's text and the text to speak are joined as they are
_NO_FINAL_MARK: Final = 0.12
_QUOTED: Final = 0.05
_SALAD_WEIGHTS: Final[Mapping[str, float]] = {"COMMON": 12.0, "ANY": 3.0}  # against 1 for each part of speech
_FINAL_MARKS: Final = re.compile(r"[.,;:]$")
_SPOKEN: Final = re.compile(r"[^A-Za-z',.?!;: ]")  # what the teacher does not read


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the teacher speaks and what the model reads: the same words, written in two ways."""

    spoken: str  # "Did John go?"
    written: str  # "did john go?"


@dataclass(frozen=True, slots=True)
class Text:
    """One or two sentences that are trained on as one utterance."""

    sentences: tuple[Sentence, ...]
    separator: str = " "

    @property
    def written(self) -> str:
        """What the model reads."""
        return self.separator.join(sentence.written for sentence in self.sentences)


def draw_text(words: WordList, source: random.Random) -> Text:
    """Return a random text."""
    if source.random() < _JOINED:
        pair = tuple(_sentence(words, source, MAX_JOINED_WORDS, may_lack_mark=last) for last in (False, True))
        return Text(pair, "" if source.random() < _JOINED_WITHOUT_SPACE else " ")
    return Text((_sentence(words, source, MAX_WORDS, may_lack_mark=True),))


def _sentence(words: WordList, source: random.Random, max_words: int, *, may_lack_mark: bool) -> Sentence:
    kind = source.choices(list(KINDS), list(KINDS.values()))[0]
    drawn = _salad(words, source) if kind == "salad" else expand(kind, words, source)
    drawn = _cut(drawn, max_words, source)
    mark = source.choice(_ENDS.get(kind, _ENDS["statement"]))
    written = drawn.lower() + ("" if may_lack_mark and source.random() < _NO_FINAL_MARK else mark)
    if source.random() < _QUOTED:
        written = _quoted(written, source)
    spoken = _SPOKEN.sub("", drawn[0].upper() + drawn[1:]) + mark
    return Sentence(spoken, written)


def _salad(words: WordList, source: random.Random) -> str:
    """Words in no order: sounds beside sounds that no sentence brings together."""
    tags = source.choices(list(words), [_SALAD_WEIGHTS.get(tag, 1.0) for tag in words], k=source.randint(1, 9))
    drawn = [words[tag].draw(source) + ("," if source.random() < 0.06 else "") for tag in tags]  # noqa: PLR2004
    return _FINAL_MARKS.sub("", " ".join(drawn))


def _cut(text: str, max_words: int, source: random.Random) -> str:
    """Take a random part of what is too long."""
    words = text.split(" ")
    if len(words) <= max_words:
        return text
    start = source.randint(0, len(words) - max_words)
    return _FINAL_MARKS.sub("", " ".join(words[start : start + max_words]).replace('"', ""))


def _quoted(text: str, source: random.Random) -> str:
    """Put quotation marks or brackets around some of the words."""
    words = text.replace('"', "").split(" ")
    first = source.randrange(len(words))
    last = source.randint(first, min(len(words) - 1, first + 4))
    opening, closing = source.choice(('""', "()", '""'))
    words[first] = opening + words[first]
    words[last] += closing
    return " ".join(words)
