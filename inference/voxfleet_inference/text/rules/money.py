"""Amounts of money, with a sign before or after, thousands separators and cents."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule
from voxfleet_inference.text.rules.currencies import CHINESE as CHINESE_NAMES
from voxfleet_inference.text.rules.currencies import CODES
from voxfleet_inference.text.rules.currencies import ENGLISH as ENGLISH_NAMES

_AMOUNT: Final = r"(\.\d\d|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_MAGNITUDES: Final = {
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "b": "billion",
    "bn": "billion",
    "t": "trillion",
    "tn": "trillion",
}
_MAGNITUDE: Final = r"(?:\s?(thousand|million|billion|trillion)\b|(k|mn?|bn?|tn?|K|M|B|T)\b)?"
_SIGN: Final = r"((?:US|HK|NT|A|C|S)\$|[$€£¥￥₹₩฿₫₽])"
_CODE: Final = r"(USD|EUR|GBP|JPY|CNY|RMB|HKD|CAD|AUD|CHF|TWD|SGD|INR|KRW)"
_THOUSANDS: Final = {"K": 3, "M": 6, "B": 9, "T": 12}
_ARTICLE: Final = re.compile(r"\b(?:[Aa]n?|[Tt]he|[Tt]his|[Tt]hat) $")  # words: speech
_NOUN: Final = re.compile(
    r" (?!(?:I|a|an|per|in|of|for|is|was|and|or|to|from|by|on|at|he|she|we|you|they)\b)[A-Za-z]+"  # words: speech
)
_CENT_PLACES: Final = 2


def _english_amount(sign: str, amount: str, magnitude: str) -> str:
    one, several, one_cent, cents = ENGLISH_NAMES[CODES.get(sign, sign)]
    whole, _, places = amount.replace(",", "").rjust(4, "0").partition(".")
    whole = whole.lstrip("0") or "0"
    if magnitude or (places and (len(places) != _CENT_PLACES or not cents)):
        return f"{english.decimal_words(amount)} {magnitude + ' ' if magnitude else ''}{several}"
    parts = (
        [f"{english.number_words(whole)} {one if whole == '1' else several}"]
        if int(whole) or not int(places or 0)
        else []
    )
    if int(places or 0):
        parts.append(f"{english.number_words(str(int(places)))} {one_cent if int(places) == 1 else cents}")
    return " and ".join(parts)


def _magnitude(word: str | None, letter: str | None) -> str:
    return word or _MAGNITUDES.get((letter or "").lower(), "")


def _is_adjective(found: re.Match[str]) -> bool:
    """Return whether an amount is between an article and a noun and has no plural: a five dollar bill."""
    before = found.string[max(0, found.start() - 6) : found.start()]
    return bool(_ARTICLE.search(before) and _NOUN.match(found.string, found.end()))


def _english_money(found: re.Match[str]) -> str:
    minus, sign, amount, word, letter = found.groups()
    words = ("minus " if minus else "") + _english_amount(sign, amount, _magnitude(word, letter))
    one, several, *_ = ENGLISH_NAMES[CODES.get(sign, sign)]
    return words.removesuffix(several) + one if _is_adjective(found) and words.endswith(several) else words


def _english_range(found: re.Match[str]) -> str:
    sign, first, last, word, letter = found.groups()
    has_cents = "." in first and not (word or letter)
    one, several, *_ = ENGLISH_NAMES[CODES.get(sign, sign)]
    start = _english_amount(sign, first, "") if has_cents else english.decimal_words(first)
    words = f"{start} to {_english_amount(sign, last, _magnitude(word, letter))}"
    return words.removesuffix(several) + one if _is_adjective(found) and words.endswith(several) else words


def _chinese_amount(amount: str, unit: str) -> str:
    """Return an amount in yuan with jiao and fen, in other currencies as a decimal."""
    whole, _, places = amount.replace(",", "").partition(".")
    if unit != "元" or len(places) > _CENT_PLACES or not int(places or 0):
        shown = amount if int(places or 0) else whole
        return chinese.counted(shown) + unit
    jiao, fen = places[0], places[1:] or "0"
    words = chinese.counted(whole) + "元" if int(whole) else ""
    words += chinese.counted(jiao) + "角" if jiao != "0" else "零" * bool(words)
    return words + (chinese.counted(fen) + "分" if fen != "0" else "")


def _chinese_money(found: re.Match[str]) -> str:
    minus, sign, amount, magnitude = found.groups()
    unit = CHINESE_NAMES[sign]
    words = chinese.decimal_words(amount) + magnitude + unit if magnitude else _chinese_amount(amount, unit)
    return ("负" if minus else "") + words


def _chinese_shifted(amount: str, letter: str) -> str:
    """Return a number with a letter for its thousands; Chinese counts in ten thousands."""
    whole, _, places = amount.replace(",", "").partition(".")
    zeros = _THOUSANDS[letter[0].upper()]
    digits = whole + places.ljust(zeros, "0")[:zeros]
    return chinese.decimal_words(digits + (f".{places[zeros:]}" if places[zeros:] else ""))


def _chinese_range(found: re.Match[str]) -> str:
    sign, first, last, magnitude = found.groups()
    return f"{chinese.decimal_words(first)}到{chinese.decimal_words(last)}{magnitude}{CHINESE_NAMES[sign]}"


ENGLISH: Final = (
    rule(
        rf"{_SIGN}{_AMOUNT}[KkMBb]?\s?[-–—]\s?(?:\1)?{_AMOUNT}{_MAGNITUDE}",
        _english_range,
        "$10-$20",
        "ten to twenty dollars",
    ),
    rule(
        rf"(?<![\w$])(-|−)?{_SIGN}\s?{_AMOUNT}{_MAGNITUDE}(?![\d%])",
        _english_money,
        "$1,234.56",
        "one thousand, two hundred and thirty-four dollars and fifty-six cents",
    ),
    rule(
        rf"\b()(?:{_CODE})\s?{_AMOUNT}{_MAGNITUDE}(?!\d)",
        _english_money,
        "EUR 20",
        "twenty euros",
    ),
    rule(
        rf"(?<![\w.,$]){_AMOUNT}{_MAGNITUDE}\s?{_CODE}\b",
        lambda found: _english_amount(found[4], found[1], _magnitude(found[2], found[3])),
        "5 USD",
        "five US dollars",
    ),
    rule(
        r"(?<![\w.,$€£])(\d{1,3}(?:,\d{3})+)p(?!\w)",
        lambda found: f"{english.decimal_words(found[1])} pence",
        "at 1,204p",
        "at one thousand, two hundred and four pence",
    ),
    rule(
        r"(?<![\w.])(\d+)¢",
        lambda found: english.number_words(found[1]) + (" cent" if found[1] == "1" else " cents"),
        "99¢",
        "ninety-nine cents",
    ),
    rule(
        rf"(?<![\w.,$]){_AMOUNT}\s?([€£$])(?!\d)",
        lambda found: _english_amount(found[2], found[1], ""),
        "20.50 €",
        "twenty euros and fifty cents",
    ),
)
CHINESE: Final = (
    rule(
        rf"{_SIGN}{_AMOUNT}\s?[-–—~～]\s?(?:\1)?{_AMOUNT}([千万亿]*)元?",
        _chinese_range,
        "￥10-20",
        "十到二十元",
    ),
    rule(
        rf"{_SIGN}\s?{_AMOUNT}\s?(k|mn?|bn?|tn?|K|M|B|T)(?![A-Za-z\d])",
        lambda found: f"{_chinese_shifted(found[2], found[3])}{CHINESE_NAMES[found[1]]}",
        "$3.5M",
        "三百五十万美元",
    ),
    rule(rf"(?<![\w$])(-|−)?{_SIGN}\s?{_AMOUNT}([百千万萬亿億]*)元?", _chinese_money, "￥25.80", "二十五元八角"),
    rule(rf"\b()(?:{_CODE})\s?{_AMOUNT}([百千万亿]*)", _chinese_money, "USD 100", "一百美元"),
    rule(
        rf"(?<![\w.,]){_AMOUNT}([百千万亿]*)\s?{_CODE}\b",
        lambda found: (
            chinese.decimal_words(found[1]) + found[2] + CHINESE_NAMES[found[3]]
            if found[2]
            else _chinese_amount(found[1], CHINESE_NAMES[found[3]])
        ),
        "100RMB",
        "一百元",
    ),
    rule(
        r"(?<![\w.,/-])(\d[\d,]*\.\d0)元",
        lambda found: _chinese_amount(found[1], "元"),
        "25.80元",
        "二十五元八角",
    ),
)
