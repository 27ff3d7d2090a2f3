"""English words for numbers: whole ones, decimals, ordinals, years and decades.

Knows: whole numbers below a quadrillion; longer ones, and those with leading zeros, are read digit by digit.
Does not know: units, dates or money.
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
_DIGITS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LAST_WORD: Final = re.compile(r"[a-z]+$")
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def spell_out_numbers(text: str) -> str:
    """Return the text with words for its digits, separated by spaces from adjacent letters."""

    def words(found: re.Match[str]) -> str:
        before = " " if found.start() and text[found.start() - 1].isalpha() else ""
        after = " " if text[found.end() : found.end() + 1].isalpha() else ""
        words_of = decimal_words if "." in found.group() else number_words
        return before + words_of(found.group()) + after

    return _DIGITS.sub(words, text)


def number_words(digits: str) -> str:
    """Return a whole number in words."""
    if (digits[0] == "0" and len(digits) > 1) or len(digits) > 3 * len(_THOUSANDS):
        return spelled_digits(digits)
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


def decimal_words(number: str) -> str:
    """Return a number with an optional sign, thousands separators and decimal places in words."""
    sign = "minus " if number[0] in "-−" else ""
    whole, _, places = number.lstrip("-−+").replace(",", "").partition(".")
    words = number_words(whole.lstrip("0") or "0")
    return sign + (f"{words} point {spelled_digits(places)}" if places else words)


def ordinal_words(number: str | int) -> str:
    """Return an ordinal: twenty-first."""
    words = number_words(str(number))
    last = _LAST_WORD.search(words)
    word = last.group() if last is not None else ""
    ordinal = _ORDINALS.get(word) or (word.removesuffix("y") + "ieth" if word.endswith("y") else word + "th")
    return words[: len(words) - len(word)] + ordinal


def year_words(year: str | int) -> str:
    """Return a year as it is read: nineteen oh five, two thousand and five, twenty ten, four seventy-six."""
    number = int(year)
    century, rest = divmod(number, 100)
    if number < 1000 or (century % 10 == 0 and rest < 10):  # noqa: PLR2004
        return number_words(str(number))
    if rest == 0:
        return f"{_below_thousand(century)} hundred"
    return f"{_below_thousand(century)} {'oh ' if rest < 10 else ''}{_below_thousand(rest)}"  # noqa: PLR2004


def spelled_year(digits: str) -> str:
    """Return the last two digits of a year: ninety-eight, oh five."""
    return f"oh {number_words(digits[1])}" if digits[0] == "0" else number_words(digits)


def paired_words(digits: str) -> str:
    """Return three or four digits as a house number or a model's: seven thirty-seven, two oh five, sixteen hundred."""
    high, low = digits[:-2], digits[-2:]
    if low == "00":
        return number_words(digits) if len(digits) == 3 or high.endswith("0") else f"{number_words(high)} hundred"  # noqa: PLR2004
    return f"{number_words(high)} {'oh ' if low[0] == '0' else ''}{number_words(str(int(low)))}"


def decade_words(year: str | int) -> str:
    """Return a decade, given as its first year or its last two digits: nineteen nineties, nineties."""
    words = year_words(year) if int(year) > 99 else _below_thousand(int(year))  # noqa: PLR2004
    return words.removesuffix("y") + "ies" if words.endswith("y") else words + "s"


def spelled_digits(digits: str) -> str:
    """Return digits one by one; other characters are skipped."""
    return " ".join(_ONES[int(digit)] for digit in digits if digit.isascii() and digit.isdigit())


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest:
        tens = _ONES[rest] if rest < len(_ONES) else "-".join([_TENS[rest // 10], *_ONES[rest % 10 : rest % 10 + 1]])
        parts.append(tens.removesuffix("-zero"))
    return " and ".join(parts)
