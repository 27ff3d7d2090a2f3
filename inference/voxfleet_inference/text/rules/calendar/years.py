"""Years, spans of years, decades, eras and fiscal periods."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_MONTHS: Final = (  # noqa: SIM905 - a list of words reads best as words
    "January February March April May June July August September October November December"
).split()
_FRACTIONS: Final = frozenset({(1, 2), (1, 3), (2, 3), (1, 4), (3, 4)})  # rather than days
_YEAR: Final = r"(1[1-9]\d{2}|20\d{2})"
_BEFORE_YEAR: Final = (
    r"\b(?:[Ii]n|[Ss]ince|[Bb]y|[Ff]rom|[Uu]ntil|[Tt]ill|[Bb]efore|[Aa]fter|[Ee]st\.|[Ee]stablished|[Ff]ounded|[Dd]uring|[Cc]irca|[Oo]f|[Ee]arly|[Ll]ate|[Yy]ear"
    r"|[Ss]pring|[Ss]ummer|[Aa]utumn|[Ff]all|[Ww]inter|January|February|March|April|May|June|July|August|September|October"
    r"|November|December|[Tt]he|and|to|©|[Cc]opyright) "  # words: speech
)
# After a number that is a count, not a year.
_COUNTED: Final = (
    r"(?! ?(?:[a-z]+s\b|people\b|men\b|women\b|children\b|%|percent\b"
    r"|[a-z]*(?:meters?|feet|kg|km)\b)|[,.]\d|[-–/]\d|\w)"
)
_ERA: Final = r"(BCE|BC|CE|AD|B\.C\.E?\.?|A\.D\.?|C\.E\.?)"


def _letters(era: str) -> str:
    return " ".join(era.replace(".", ""))


def _span(found: re.Match[str]) -> str:
    first, last = found.groups()
    full = last if len(last) == len(first) else first[: len(first) - len(last)] + last
    is_count = (
        first.endswith("00") and last.endswith("00") and found.string[found.end() : found.end() + 2].strip().isalpha()
    )
    if int(full) <= int(first) or is_count:
        return found[0]
    short = english.number_words(str(int(last))) if int(last) > 9 else "oh " + english.number_words(str(int(last)))  # noqa: PLR2004
    return f"{english.year_words(first)} to {english.year_words(full) if len(last) == len(first) else short}"


def _chinese_span(found: re.Match[str]) -> str:
    first, sign, dash, last = found.groups()
    return f"{chinese.spelled_digits(first)}{sign}{'至' if dash == '至' else '到'}{chinese.spelled_digits(last)}"


def _month_and_day(found: re.Match[str]) -> str:
    month, day = int(found[2]), int(found[3])
    is_fraction = not found[1].endswith(", ") and (month, day) in _FRACTIONS
    if is_fraction or not (1 <= month <= len(_MONTHS) and 1 <= day <= 31):  # noqa: PLR2004 - the longest month
        return found[0]
    return f"{found[1]}{_MONTHS[month - 1]} {english.ordinal_words(day)}"


ENGLISH: Final = (
    rule(
        r"((?<!\w)(?:[Tt]hrough|[Tt]hru|[Oo]n|[Uu]ntil|[Dd]ue) "  # words: speech
        r"|day, |(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\.,? )"  # words: speech
        r"(\d{1,2})/(\d{1,2})(?![\w/]|\.\d| of\b)",
        _month_and_day,
        "through 6/10",
        "through June tenth",
    ),
    rule(
        r"((?<![\w/.]))(\d{1,2})/(\d{1,2})(?= (?:through|thru) )",
        _month_and_day,
        "6/3 through 6/10",
        "June third through 6/10",
    ),
    rule(
        r"(?<!\w)['’](\d\d)\s?[-–]\s?['’]?(\d\d)(?!\w)",
        lambda found: f"{english.spelled_year(found[1])} to {english.spelled_year(found[2])}",
        "the '24-'25 season",
        "the twenty-four to twenty-five season",
    ),
    rule(r"\bca?\. ?(?=[12]?\d{3}\b)", lambda _: "circa ", "c. 1960", "circa 1960"),
    rule(
        rf"(?<![\w.,$€£/-]){_YEAR}(?= (?:seconds|minutes|hours|days|weeks|months|years|people|men|women|times|words"
        r"|pages|miles|votes|points|students|soldiers|homes|jobs|calories|items|employees|members|copies|units|voters)\b)",
        lambda found: english.number_words(found[1]),
        "1999 days",
        "one thousand, nine hundred and ninety-nine days",
    ),
    rule(
        r"\b([12]\d{2}0)(?:'|’)?s\b", lambda found: english.decade_words(found[1]), "the 1990s", "the nineteen nineties"
    ),
    rule(
        r"(?<![\w.$])(?:'|’|‘)?([2-9]0)(?:'|’)?s\b",
        lambda found: english.decade_words(found[1]),
        "the '90s",
        "the nineties",
    ),
    rule(
        rf"(?<![\w.,$€£-]){_YEAR}\s?[-–—/]\s?(1[1-9]\d{{2}}|20\d{{2}}|\d{{2}})(?![\w%-]|[.,]\d)",
        _span,
        "1914-1918",
        "nineteen fourteen to nineteen eighteen",
    ),
    rule(
        rf"\b(\d{{1,4}}) {_ERA}(?!\w)",
        lambda found: f"{english.year_words(found[1])} {_letters(found[2])}",
        "44 BC",
        "forty-four B C",
    ),
    rule(
        r"\b(AD|A\.D\.) (\d{1,4})\b",
        lambda found: f"{_letters(found[1])} {english.year_words(found[2])}",
        "AD 79",
        "A D seventy-nine",
    ),
    rule(
        r"\bFY ?'?(20\d{2}|\d{2})\b",
        lambda found: f"fiscal year {english.year_words(found[1])}",
        "FY2024",
        "fiscal year twenty twenty-four",
    ),
    rule(
        r"\bQ([1-4]) ?(?:of )?(20\d{2})\b",
        lambda found: f"Q {english.number_words(found[1])} {english.year_words(found[2])}",
        "Q3 2024",
        "Q three twenty twenty-four",
    ),
    rule(
        rf"({_BEFORE_YEAR}){_YEAR}{_COUNTED}",
        lambda found: found[1] + english.year_words(found[2]),
        "in 1905",
        "in nineteen oh five",
    ),
    rule(
        rf"(?<=\(){_YEAR}(?=[),])|(?<=[a-z], ){_YEAR}(?=[.,;]|$)",
        lambda found: english.year_words(found[1] or found[2]),
        "(1984)",
        "(nineteen eighty-four)",
    ),
)
CHINESE: Final = (
    rule(
        r"(?<![\w.])([12]\d{3})(年?)\s?([-–—~～至到]+)\s?([12]\d{3})(?=年|赛季|学年|财年)",
        _chinese_span,
        "1914-1918年",
        "一九一四到一九一八年",
    ),
    rule(
        r"(?<![\w.])([12]\d{3})()([-–—/])(\d{2})(?=赛季|学年|财年|年度)",
        _chinese_span,
        "2024-25赛季",
        "二零二四到二五赛季",
    ),
    rule(
        r"([（(])([12]\d{3})\s?[-–—~～]+\s?([12]\d{3})(?=[）)])",
        lambda found: f"{found[1]}{chinese.spelled_digits(found[2])}到{chinese.spelled_digits(found[3])}",
        "（1881-1936）",
        "（一八八一到一九三六）",
    ),
    rule(
        r"(?<![\w.])([12]\d{2}0)(?=年代|后)", lambda found: chinese.spelled_digits(found[1]), "1990年代", "一九九零年代"
    ),
    rule(
        r"(?<![\w.])([12]\d{2}0)['’]?s\b(?: ?年代)?|(?<=世纪)\s?([1-9]0)['’]?s\b",
        lambda found: f"{chinese.spelled_digits(found[1] or found[2])}年代",
        "1990s的音乐",
        "一九九零年代的音乐",
    ),
    rule(
        r"(?<![\w.])(\d0|[09]5|85|75)(?=后(?![来面天]))",
        lambda found: chinese.spelled_digits(found[1]),
        "90后",
        "九零后",
    ),
    rule(
        r"(公元前|前)\s?(\d{1,4})年?\s?[-–—~～至到]{1,2}\s?(?=(?:公元)?前?\s?\d{1,4}年)",
        lambda found: f"{found[1]}{chinese.number_words(found[2])}到",
        "公元前259—前210年",
        "公元前二百五十九到前210年",
    ),
    rule(
        r"((?:公元前|前)\s?)(\d{1,4})(?=年)",
        lambda found: found[1] + chinese.number_words(found[2]),
        "公元前221年",
        "公元前二百二十一年",
    ),
    rule(
        r"(公元\s?)(\d{1,3})(?=年)", lambda found: found[1] + chinese.number_words(found[2]), "公元79年", "公元七十九年"
    ),
    rule(
        r"(?<![\w.第])(20\d{2}(?=[级届](?!.?[比赛]))|\d{2}(?=[级届](?:新生|学生|毕业|校友|本科|硕士|博士|研究生|同学|[一-鿿]{0,4}[班系])))",
        lambda found: chinese.spelled_digits(found[1]),
        "2019级",
        "二零一九级",
    ),
    rule(
        r"(?<=[有近约了达过需今])(\d{3,4})(?=年(?:的?历史|的?时间|多|左右|之久|以[上下]|[^一-鿿\d]|$))",
        lambda found: chinese.number_words(found[1]),
        "有2000年的历史",
        "有两千年的历史",
    ),
    rule(
        r"(?<![\w.,])([12]\d{3})(?=年(?![来间前以后内]))",
        lambda found: chinese.spelled_digits(found[1]),
        "1998年",
        "一九九八年",
    ),
    rule(
        r"(?:^|(?<=[，。；、\s（(在于从自到是]))([6-9]\d|0\d)(?=年[毕出生考参入结退开去来到当回成建拍上进春夏秋冬初底末][^一-鿿]?)",
        lambda found: chinese.spelled_digits(found[1]),
        "在82年毕业",
        "在八二年毕业",
    ),
    rule(
        r"([（(【〔《])((?:1[5-9]|20)\d{2})(?=[）)】〕》])",
        lambda found: found[1] + chinese.spelled_digits(found[2]),
        "《1984》",
        "《一九八四》",
    ),
    rule(
        r"(?<![\w.·])([1-9]|1[0-2])·([1-9]|[12]\d|3[01])(?![\w.·]|\s?[=＝])",
        lambda found: chinese.spelled_digits(found[1] + found[2]),
        "9·18事变",
        "九一八事变",
    ),
    rule(
        # after a word that may stand before a date; else a span
        r"(?:^|(?<=[，。；、：\s（(“‘「『《【在于从自到至是生买这和与跟比]))(?:'|’)?([6-9]\d)(?=年(?:[，。、的]|(?:1[0-2]|[1-9])月))",
        lambda found: chinese.spelled_digits(found[1]),
        "98年的",
        "九八年的",
    ),
    rule(  # a year is part of the name of an event, a list or an edition
        r"(?:(?<=[会展节赛杯奖榜晚季坛典])|(?<=报告|年鉴|指南))\s?((?:19[5-9]|20[0-4])\d)"
        r"(?![\d.,:%/-]|[人个元名位件张米次万千百亿块多平家场字条台辆户所余部本只秒天分点])",
        lambda found: chinese.spelled_digits(found[1]),
        "演唱会2024",
        "演唱会二零二四",
    ),
    rule(
        r"(?<![\w.,:/第-])((?:1[89]|20)\d{2})(?=[版款](?!本|式|项)|届|春晚|赛季|世界杯|奥运|欧洲杯|亚运|年度|财年|高考|国考|考研|双1[12]|[春夏秋冬]季)",
        lambda found: chinese.spelled_digits(found[1]),
        "其次是1964版",
        "其次是一九六四版",
    ),
)
