"""The words to train on, by part of speech: the tagger's dictionary and the lexicon inside hibari-tts (Apache-2.0).

Knows: how frequent a word is, roughly: the tagger lists words in the order in which its corpus met them. It lists only
words of one part of speech, so the ambiguous ones ("walk", "walked", "open") are derived from the forms beside them.
Does not know: sentences.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_RANK_OFFSET: Final = 150  # flattens the head of the distribution: rare words matter as much to a learner of sounds
_EXPONENT: Final = 0.6
_DERIVED_RANK: Final = 300
TAGS: Final = ("NN", "NNS", "NNP", "JJ", "JJR", "RB", "VB", "VBD", "VBZ", "VBG", "VBN")


@dataclass(frozen=True, slots=True)
class WordClass:
    """Words of one part of speech with cumulative sampling weights."""

    words: tuple[str, ...]
    cumulative: tuple[float, ...]

    def draw(self, source: random.Random) -> str:
        """Return one word, frequent ones more often."""
        return source.choices(self.words, cum_weights=self.cumulative)[0]


WordList = Mapping[str, WordClass]  # by Penn tag, and "ANY" for every word of the lexicon


def load_word_list() -> WordList:
    """Read hibari's tagger and lexicon."""
    assets = files("hibari") / "assets"
    lexicon = {
        *json.loads(gzip.decompress((assets / "lexicon_us_gold.json.gz").read_bytes())),
        *json.loads(gzip.decompress((assets / "lexicon_us_silver.json.gz").read_bytes())),
    }
    tagger = json.loads(gzip.decompress((assets / "tagger.json.gz").read_bytes()))
    return build_word_list(tagger["tagdict"], tagger["vocab"], lexicon)


def build_word_list(tagged: Mapping[str, str], frequent: Iterable[str], lexicon: set[str]) -> WordList:
    """Sort the words that the lexicon can pronounce into classes."""
    known = {word.lower() for word in lexicon}
    classes: dict[str, list[str]] = {tag: [] for tag in TAGS}
    for word, tag in tagged.items():
        is_name = tag == "NNP"
        if tag in classes and _is_plain(word) and word.lower() in known and (word[0].isupper() == is_name):
            classes[tag].append(word)
    common = {word for word in frequent if word in known and _is_plain(word)}
    derived = ambiguous_words(common, set(tagged))
    rare = [word for word in lexicon if _is_plain(word) and word.islower()]
    listed = {tag: _weighted(words, derived.get(tag, set()) - set(words)) for tag, words in classes.items()}
    return listed | {"COMMON": _weighted([], common), "ANY": _weighted([], set(rare))}


def ambiguous_words(common: set[str], tagged: set[str]) -> dict[str, set[str]]:
    """Derive words of several parts of speech from their inflected forms: "walk" from "walks" and "walked"."""
    irregular = irregular_verbs((files(__package__) / "verbs.txt").read_text("utf-8"))
    past = {word for word in common if word.endswith("ed") and len(word) > 4} - tagged  # noqa: PLR2004
    verbs = {word for word in common if {word + "ed", word + "d"} & common and {word + "s", word + "ing"} & common}
    return {
        "VBD": past | irregular["past"],
        "VBN": past,
        "VB": verbs | irregular["plain"],
        "VBZ": {word + "s" for word in verbs} & common,
        "VBG": {word for word in common if word.endswith("ing") and len(word) > 5} - tagged,  # noqa: PLR2004
        "NN": {word for word in common if word + "s" in common} - tagged,
        "NNS": {word + "s" for word in common if word + "s" in common} - tagged,
        "JJ": {word for word in common if word + "ly" in common} - tagged,
        "JJR": {word + "er" for word in common if {word + "er", word + "est"} <= common},
    }


def irregular_verbs(text: str) -> dict[str, set[str]]:
    """Read verbs.txt: blocks of words, each below its name."""
    blocks = [block.split() for block in text.split("\n\n") if not block.startswith("#")]
    return {name: set(words) for name, *words in blocks}


def _is_plain(word: str) -> bool:
    return word.isascii() and word.isalpha() and 1 < len(word) < 14 and not word[1:].isupper()  # noqa: PLR2004


def _weighted(ranked: list[str], derived: set[str]) -> WordClass:
    ranks = [*range(len(ranked)), *(_DERIVED_RANK for _ in derived)]
    weights = ((rank + _RANK_OFFSET) ** -_EXPONENT for rank in ranks)
    return WordClass((*ranked, *sorted(derived)), tuple(itertools.accumulate(weights)))
