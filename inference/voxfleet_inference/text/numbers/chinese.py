"""Chinese words for numbers: whole ones, decimals, digits one by one, telephone numbers.

Knows: whole numbers below ten to the sixteenth; longer ones are read digit by digit.
Does not know: units, dates or money.
"""

from __future__ import annotations

from typing import Final

_DIGITS: Final = "零一二三四五六七八九"
_PLACES: Final = ("", "十", "百", "千")
_UNITS: Final = ((100_000_000, "亿"), (10_000, "万"))
_MOST_DIGITS: Final = 16


def number_words(digits: str) -> str:
    """Return a whole number in words."""
    if len(digits.lstrip("0")) > _MOST_DIGITS:
        return spelled_digits(digits)
    words = _words(int(digits))
    return words[1:] if words.startswith("一十") else words


def decimal_words(number: str) -> str:
    """Return a number with an optional sign, thousands separators and decimal places in words."""
    sign = "负" if number[0] in "-−" else ""
    whole, _, places = number.lstrip("-−+").replace(",", "").partition(".")
    words = number_words(whole)
    return sign + (f"{words}点{spelled_digits(places)}" if places else words)


def counted(number: str) -> str:
    """Return a number as it is read before a measure word: 2 is 两."""
    return "两" if number == "2" else decimal_words(number)


def spelled_digits(digits: str) -> str:
    """Return digits one by one; other characters are skipped."""
    return "".join(_DIGITS[int(digit)] for digit in digits if digit.isascii() and digit.isdigit())


def telephone_digits(digits: str) -> str:
    """Return digits one by one, 1 as 幺, which cannot be mistaken for 七."""
    return spelled_digits(digits).replace("一", "幺")


def _words(number: int) -> str:
    for unit, name in _UNITS:
        if number >= unit:
            high, low = divmod(number, unit)
            zero = "零" if 0 < low < unit // 10 else ""
            return ("两" if high == 2 else _words(high)) + name + (zero + _words(low) if low else "")  # noqa: PLR2004
    return _below_ten_thousand(number) or _DIGITS[0]


def _below_ten_thousand(number: int) -> str:
    """Return a number up to 9999, empty for 0; two thousand is 两千."""
    words, is_zero_pending = "", False
    for place in range(3, -1, -1):
        digit = number // 10**place % 10
        if digit == 0:
            is_zero_pending = bool(words)
            continue
        words += "零" if is_zero_pending else ""
        is_two_thousand = place == 3 and digit == 2  # noqa: PLR2004
        words += ("两" if is_two_thousand else _DIGITS[digit]) + _PLACES[place]
        is_zero_pending = False
    return words
