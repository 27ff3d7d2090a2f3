"""Fractions, and expressions with a slash that are none."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_ALONE: Final = r"(?<![\w/.]){}(?![\w/]|\.\d)"
# The sign's numerator and denominator.
_SIGNS: Final = {
    "½": (1, 2),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "⅕": (1, 5),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
}
_SIGN: Final = f"([{''.join(_SIGNS)}])"
_MOST_DENOMINATOR: Final = 100
_LEAST_PRESSURE: Final = 40  # the lower one, in mmHg
_CRICKET: Final = r"(?:[^.!?\n]|\.\d){0,30}\b(?:overs?|innings|declared|wickets?|stumps|tea|runs)\b"


def _english_words(numerator: int, denominator: int) -> str:
    names = {2: "half", 4: "quarter"}
    name = names.get(denominator) or english.ordinal_words(denominator).removeprefix("one ")
    several = name.replace("half", "halve") + "s"
    return f"{english.number_words(str(numerator))} {name if numerator == 1 else several}"


def _english_mixed(whole: str, numerator: int, denominator: int) -> str:
    words = _english_words(numerator, denominator)
    if numerator == 1:
        words = words.replace("one ", "an " if denominator == 8 else "a ", 1)  # noqa: PLR2004 - an eighth
    return f"{english.number_words(whole)} and {words}"


def _english_fraction(found: re.Match[str]) -> str:
    numerator, denominator = int(found[2]), int(found[3])
    if not 1 < denominator <= _MOST_DENOMINATOR or (found[1] is None and numerator >= denominator) or numerator == 0:
        return found[0]
    return _english_mixed(found[1], numerator, denominator) if found[1] else _english_words(numerator, denominator)


def _english_sign(found: re.Match[str]) -> str:
    return _english_mixed(found[1], *_SIGNS[found[2]]) if found[1] else _english_words(*_SIGNS[found[2]])


def _blood_pressure(found: re.Match[str]) -> str:
    above, below = int(found[1]), int(found[2])
    if not _LEAST_PRESSURE <= below < above:
        return found[0]
    return f"{english.number_words(found[1])} over {english.number_words(found[2])}"


def _wickets(found: re.Match[str]) -> str:
    runs, wickets = (each for each in found.groups() if each)
    return f"{english.number_words(runs)} for {english.number_words(wickets)}"


def _chinese_fraction(found: re.Match[str]) -> str:
    if int(found[1]) >= int(found[2]):
        return found[0]
    return f"{chinese.number_words(found[2])}分之{chinese.number_words(found[1])}"


def _chinese_sign(found: re.Match[str]) -> str:
    numerator, denominator = (chinese.number_words(str(each)) for each in _SIGNS[found[2]])
    whole = f"{chinese.number_words(found[1])}又" if found[1] else ""
    return f"{whole}{denominator}分之{numerator}"


ENGLISH: Final = (
    rule(_ALONE.format("24/7"), lambda _: "twenty-four seven", "open 24/7", "open twenty-four seven"),
    rule(_ALONE.format("50/50"), lambda _: "fifty-fifty", "50/50", "fifty-fifty"),
    rule(_ALONE.format("50-50"), lambda _: "fifty-fifty", "a 50-50 chance", "a fifty-fifty chance"),
    rule(_ALONE.format("9/11"), lambda _: "nine eleven", "after 9/11", "after nine eleven"),
    rule(_ALONE.format("20/20"), lambda _: "twenty twenty", "20/20 vision", "twenty twenty vision"),
    rule(_ALONE.format("401\\(k\\)"), lambda _: "four oh one k", "401(k)", "four oh one k"),
    rule(
        r"(?<![\w/.,])(\d{1,2}\.\d{1,2})/(\d{1,3}(?:\.0)?)(?![\w/]|[.,]\d)",
        lambda found: f"{english.decimal_words(found[1])} out of {english.decimal_words(found[2].removesuffix('.0'))}",
        "rated 4.5/5",
        "rated four point five out of five",
    ),
    rule(
        r"(?<![\w/.,])(1?\d\d|2[0-4]\d)/(1?\d\d)(?=\s?mm ?Hg|(?:[\s,.;)]|$))(?<!/100)(?:\s?mm ?Hg)?",
        _blood_pressure,
        "BP 120/80",
        "BP one hundred and twenty over eighty",
    ),
    rule(
        rf"(?<![\w/.,])(\d{{2,3}})/(\d)(?![\w/]|[.,]\d)(?={_CRICKET})"
        r"|(?<= at )(?<!rated at )(\d{2,3})/(\d)(?![\w/]|[.,]\d)",
        _wickets,
        "245/6 after 48 overs",
        "two hundred and forty-five for six after 48 overs",
    ),
    rule(rf"(?<![\w.])(\d+)? ?{_SIGN}", _english_sign, "2½", "two and a half"),
    rule(
        r"(?<![\w/.,-])(?:(\d{1,3}) )?(\d{1,2})/(\d{1,3})(?:ths?|rds?|nds?)?(?![\w/]|\.\d)",
        _english_fraction,
        "3/4",
        "three quarters",
    ),
    rule(
        r"(?<![\w/.,])(\d{1,3})/(10|100)(?![\w/]|\.\d)",
        lambda found: f"{english.number_words(found[1])} out of {english.number_words(found[2])}",
        "10/10",
        "ten out of ten",
    ),
)
CHINESE: Final = (
    rule(
        r"(?<=血压)([是为：]?)(\d{2,3})/(\d{2,3})(?!\d)(?:\s?mmHg)?",
        lambda found: f"{found[1]}{chinese.number_words(found[2])}比{chinese.number_words(found[3])}",
        "血压120/80",
        "血压一百二十比八十",
    ),
    rule(
        r"(?<![\w/.,])(\d\.\d)/(\d{1,3}(?:\.0)?)(?![\w/]|[.,]\d)",
        lambda found: f"{chinese.decimal_words(found[1])}比{chinese.decimal_words(found[2])}",
        "绩点3.8/4.0",
        "绩点三点八比四点零",
    ),
    rule(r"(?<![\w.])(\d+)?\s?" + _SIGN, _chinese_sign, "½", "二分之一"),
    rule(
        _ALONE.format("9/11|9·11|911")[: -len("(?![\\w/]|\\.\\d)")] + "(?=事件|恐)",
        lambda _: "九一一",
        "9/11事件",
        "九一一事件",
    ),
    rule(
        _ALONE.format(r"7\s?[×xX*]\s?24(?=小时)|24/7"),
        lambda found: "七乘二十四" if found[0][0] == "7" else "二十四七",
        "7×24小时",
        "七乘二十四小时",
    ),
    rule(
        r"(?<![\w/.第-])(\d{1,3})/(\d{1,4})(?![\w/]|\.\d)",  # wetext takes a word before it for a part of it
        _chinese_fraction,
        "约1/3",
        "约三分之一",
    ),
)
