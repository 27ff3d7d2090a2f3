"""English words for the digits that wetext leaves.

Knows: whole numbers below a quadrillion; longer ones, and those with leading zeros, are read digit by digit.
Does not know: decimals, dates or money, which wetext has replaced before.
"""

from __future__ import annotations

import re
from typing import Final

_ONES: Final = (  # noqa: SIM905 - a list of words reads best as words
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_TENS: Final = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_THOUSANDS: Final = ("", " thousand", " million", " billion", " trillion")
_DIGITS: Final = re.compile(r"[0-9]+")


def spell_out_numbers(text: str) -> str:
    """Return the text with words for its digits, separated by spaces from adjacent letters."""

    def words(found: re.Match[str]) -> str:
        before = " " if found.start() and text[found.start() - 1].isalpha() else ""
        after = " " if text[found.end() : found.end() + 1].isalpha() else ""
        return before + number_words(found.group()) + after

    return _DIGITS.sub(words, text)


def number_words(digits: str) -> str:
    """Return a whole number in words."""
    if (digits[0] == "0" and len(digits) > 1) or len(digits) > 3 * len(_THOUSANDS):
        return " ".join(_ONES[int(digit)] for digit in digits)
    number, groups = int(digits), []
    if number == 0:
        return _ONES[0]
    for thousands in _THOUSANDS:
        number, group = divmod(number, 1000)
        groups += [_below_thousand(group) + thousands] if group else []
    # British style: "one thousand and one", as "one hundred and one" within a group.
    last_has_no_hundred = int(digits) > 1000 and 0 < int(digits) % 1000 < 100  # noqa: PLR2004
    spoken = groups[::-1]
    return ", ".join(spoken[:-1]) + " and " + spoken[-1] if last_has_no_hundred else ", ".join(spoken)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest:
        tens = _ONES[rest] if rest < len(_ONES) else "-".join([_TENS[rest // 10], *_ONES[rest % 10 : rest % 10 + 1]])
        parts.append(tens.removesuffix("-zero"))
    return " and ".join(parts)
