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
_USUAL_DENOMINATORS: Final = frozenset({*range(2, 13), 15, 16, 20, 25, 30, 32, 50, 60, 64, 100})
_LEAST_RATIO_DIGITS: Final = 5
_SENTENCE: Final = 80  # characters
_RHYTHM: Final = re.compile(r" (?:time|meter|metre|rhythm|beat|groove|waltz|march|bars?|measures?)\b")
_RHYTHM_BEFORE: Final = re.compile(
    r"\btime signatures?\b|\bwaltz (?:in|is in) $|\d/\d{1,2} (?:time|meter|metre|beat)\b"
)
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
    if not found[1] and numerator > denominator > 1 and len(found[2]) + len(found[3]) < _LEAST_RATIO_DIGITS:
        return f"{english.number_words(found[2])} over {english.number_words(found[3])}"  # odds, a flat, or a fraction
    if not 1 < denominator <= _MOST_DENOMINATOR or (found[1] is None and numerator >= denominator) or numerator == 0:
        return found[0]
    return _english_mixed(found[1], numerator, denominator) if found[1] else _english_words(numerator, denominator)


def _english_sign(found: re.Match[str]) -> str:
    return _english_mixed(found[1], *_SIGNS[found[2]]) if found[1] else _english_words(*_SIGNS[found[2]])


def _english_inches(found: re.Match[str]) -> str:
    whole, numerator, denominator = found[1], int(found[2]), int(found[3])
    if not 0 < numerator < denominator:
        return found[0]
    if not whole:
        return f"{_english_words(numerator, denominator)} inch"
    return f"{_english_mixed(whole, numerator, denominator)} inch{'' if found[0].endswith('inch') else 'es'}"


def _english_meter(found: re.Match[str]) -> str:
    beats, value = (english.number_words(each) for each in found.groups())
    is_alone = found.string[found.end() : found.end() + 1] != " " or not _RHYTHM.match(found.string, found.end())
    before = found.string[max(0, found.start() - _SENTENCE) : found.start()]
    return f"{beats} {value}" if not is_alone or _RHYTHM_BEFORE.search(before) else found[0]


def _english_counted(found: re.Match[str]) -> str:
    return f"{english.number_words(found[1])} out of {english.number_words(found[2])}"


def _english_over(found: re.Match[str]) -> str:
    if int(found[2]) in _USUAL_DENOMINATORS or int(found[1]) >= int(found[2]):
        return found[0]
    return f"{english.number_words(found[1])} over {english.number_words(found[2])}"


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
    rule(  # no year with two digits: no date
        r"(?<![\w/.])\d{1,2}/\d{1,2}/\d(?![\w/]|\.\d)",
        lambda found: ", ".join(english.number_words(each) for each in found[0].split("/")),
        "went 12/3/8",
        "went twelve, three, eight",
    ),
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
        r"(?<![\w/.,-])(\d{1,2})/(2|4|8|16)(?![\w/]|\.\d)",
        _english_meter,
        "in 3/4 time",
        "in three four time",
    ),
    rule(
        r"(?<![\w/.,-])(?:(\d{1,3})[ -])?(\d{1,2})/(2|4|8|16|32|64)"
        r"(?:[\"″](?= [a-z])|[- ]inch(?:es)?\b|[- ]in\b"
        r"(?:\.(?= [a-z])|(?=-| (?:deep|wide|thick|long|apart|tall|high|drill|bits?|nails?|plywood|screws?|of)\b)))",
        _english_inches,
        'a 3/8" bit',
        "a three eighths inch bit",
    ),
    rule(
        r"(?<![\w/.,-])(\d{1,3})/(\d{1,3})"
        r"(?= (?:failed|passed|succeeded|completed?|done|correct|tests|questions|votes|points"
        r"|people|users|students|nodes|pods|replicas|tasks|ready|agreed|responded)\b)",
        _english_counted,
        "3/40 failed",
        "three out of forty failed",
    ),
    rule(  # of many parts, and not of the things that follow
        r"(?<![\w/.,-])(\d{1,3})/((?!12|16|32|64)\d{2,3})"
        r"(?= (?!inches|miles|hours|seconds|cups|tons|was|is|has)[a-z]{2,}s\b)",
        _english_counted,
        "12/15 pupils",
        "twelve out of fifteen pupils",
    ),
    rule(  # a choice of two amounts
        r"(?<![\w/.,-])(\d{1,4})/(?![2348]\s)(?=\d{1,4}[ -]?(?:GB|TB|MB|GHz|Hz|mg|W|V|fps|kbps)(?![\w/]))",
        lambda found: f"{english.number_words(found[1])}, ",
        "128/256 GB",
        "one hundred and twenty-eight, 256 GB",
    ),
    rule(  # no one says fortieths: "over" is right for a fraction and for a count
        r"(?<![\w/.,-])(\d{1,3})/(\d{2,3})(?![\w/-]|\.\d)",
        _english_over,
        "got 17/41",
        "got seventeen over forty-one",
    ),
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
    rule(  # a choice of two of the noun that follows, no part of one
        r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?=小时制|[寸档款期路线](?!的)|英寸|T?GB?(?![A-Za-z])|TB)",
        lambda found: f"{chinese.number_words(found[1])}、{found[2]}",
        "12/24小时制",
        "十二、24小时制",
    ),
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
