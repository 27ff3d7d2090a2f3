"""English number words, spelt as the server's `normalize` spells them.

Knows: cardinals, ordinals, years, digits read one by one. No hyphens; "and" before what is below a hundred.
Does not know: the server. A unit test holds both spellings equal.
"""

from __future__ import annotations

from typing import Final

ONES: Final = (  # noqa: SIM905 - a list of words reads best as words
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
TENS: Final = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_SCALES: Final = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"))
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """Spell a whole number below a trillion: 1234 is "one thousand two hundred and thirty four"."""
    words: list[str] = []
    for size, name in _SCALES:
        count, number = divmod(number, size)
        words += [_below_thousand(count, joined_by_and=False), name] if count else []
    if number or not words:
        words.append(_below_thousand(number, joined_by_and=True))
    return " ".join(words)


def _below_thousand(number: int, *, joined_by_and: bool) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    link = " and " if joined_by_and else " "
    return f"{ONES[hundreds]} hundred" + (link + _below_hundred(rest) if rest else "")


def _below_hundred(number: int) -> str:
    if number < len(ONES):
        return ONES[number]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens]} {ONES[ones]}" if ones else TENS[tens]


def ordinal(number: int) -> str:
    """Spell a rank: 21 is "twenty first"."""
    before, _, last = cardinal(number).rpartition(" ")
    ranked = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last.removesuffix("t") + "th")
    return f"{before} {ranked}".strip()


def year(number: int) -> str:
    """Spell a year in two halves: 1998 is "nineteen ninety eight", 1905 "nineteen oh five", 2005 a cardinal."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:  # noqa: PLR2004 - the two thousands
        return f"{cardinal(century // 10)} thousand" + (f" {ONES[rest]}" if rest else "")
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    return _below_hundred(century) + (f" oh {ONES[rest]}" if rest < 10 else f" {_below_hundred(rest)}")  # noqa: PLR2004


def one_by_one(digits: str) -> str:
    """Read digits one by one, zero as "oh"."""
    return " ".join("oh" if digit == "0" else ONES[int(digit)] for digit in digits)
