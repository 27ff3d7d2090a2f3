"""A small grammar of English: statements, questions, commands, numbers, dates.

Knows: the rules of rules.txt, each a symbol and its weighted expansions. `<symbol>` is expanded further, `{TAG}` is a
word of that part of speech, `{number}` and its like are number words, everything else stands for itself.
Does not know: how long a text should be, or its final mark.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Final

from voxfleet_voice.texts.number_words import cardinal, one_by_one, ordinal, year
from voxfleet_voice.texts.word_list import WordList

Expansions = tuple[tuple[float, str], ...]
_PART: Final = re.compile(r"<([a-z_]+)>|\{([A-Za-z_]+)\}")
_ARTICLE: Final = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])")


def read_rules(text: str) -> Mapping[str, Expansions]:
    """Read rules.txt: a symbol per line, its expansions below it, indented, weight first."""
    rules: dict[str, list[tuple[float, str]]] = {}
    for line in text.splitlines():
        if not line.startswith((" ", "#")) and line:
            rules[line] = expansions = []
        elif line.startswith(" "):
            weight, expansion = line.strip().split("\t")
            expansions.append((float(weight), expansion))
    return {symbol: tuple(found) for symbol, found in rules.items()}


RULES: Final = read_rules((files(__package__) / "rules.txt").read_text("utf-8"))
_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
_SPOKEN_FIGURES: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "number": lambda source: cardinal(int(10 ** source.uniform(0, 4.3))),
    "number_small": lambda source: cardinal(source.randint(2, 30)),
    "small": lambda source: cardinal(source.randint(1, 59)),
    "large": lambda source: cardinal(source.randint(1, 99) * 10 ** source.choice((3, 4, 5, 6, 8))),
    "year": lambda source: year(source.randint(1700, 2099)),
    "rank": lambda source: ordinal(source.randint(1, 31)),
    "digits": lambda source: one_by_one("".join(source.choices("0123456789", k=source.randint(3, 8)))),
    "digit": lambda source: cardinal(source.randint(0, 9)),
    "minutes": lambda source: source.choice(("", "", "thirty", "fifteen", "forty five", "oh five", "twenty")),
    "half": lambda source: source.choice(("PM", "AM", "o'clock", "", "in the morning")),
    "month": lambda source: source.choice(_MONTHS),
    "day": lambda source: source.choice(_DAYS),
    "part_of_day": lambda source: source.choice(("morning", "afternoon", "evening", "night")),
}
MAX_DEPTH: Final = 7  # a deeper symbol takes its first expansion, which is the shortest


def expand(symbol: str, words: WordList, source: random.Random) -> str:
    """Return a random text for a symbol, without its final mark."""
    text = " ".join(_expanded(symbol, words, source, 0).split()).replace(" ,", ",")
    return _ARTICLE.sub(r"\1n ", text)


def _expanded(symbol: str, words: WordList, source: random.Random, depth: int) -> str:
    options = RULES[symbol]
    chosen = options[0][1]
    if depth < MAX_DEPTH:
        chosen = source.choices([text for _, text in options], [weight for weight, _ in options])[0]

    def replaced(found: re.Match[str]) -> str:
        if found[1]:
            return _expanded(found[1], words, source, depth + 1)
        return _SPOKEN_FIGURES[found[2]](source) if found[2] in _SPOKEN_FIGURES else words[found[2]].draw(source)

    return _PART.sub(replaced, chosen)
