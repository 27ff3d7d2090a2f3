"""Dates: days of months, weekdays, spans of them."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_MONTHS: Final = (  # noqa: SIM905 - a list of words reads best as words
    "January February March April May June July August September October November December"
).split()
_MONTH: Final = (
    r"(?:Jan(?:\.|uary)?|Feb(?:\.|ruary)?|Mar(?:\.|ch)?|Apr(?:\.|il)?|May|June?\.?|July?\.?|Aug(?:\.|ust)?"
    r"|Sept?(?:\.|ember)?|Oct(?:\.|ober)?|Nov(?:\.|ember)?|Dec(?:\.|ember)?)"
)
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NUMBER: Final = r"(?:0?[1-9]|1[0-2])"
_NTH: Final = "(?:st|nd|rd|th)?"
_WEEKDAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
_WEEKDAY: Final = r"(Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)"
_FULL_DATE: Final = r"[12]\d{3}([-/.])\d{1,2}\2\d{1,2}"


def _month(name: str) -> str:
    return next(month for month in _MONTHS if month.startswith(name[:3]))


def _weekday(name: str) -> str:
    return next(day for day in _WEEKDAYS if day.startswith(name[:3]))


def _iso(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    return f"{_MONTHS[int(month) - 1]} {english.ordinal_words(int(day))}, {english.year_words(year)}"


def _dotted(found: re.Match[str]) -> str:
    day, month, year = found.groups()
    return f"the {english.ordinal_words(int(day))} of {_MONTHS[int(month) - 1]}, {english.year_words(year)}"


def _american(found: re.Match[str]) -> str:
    month, day, year = found.groups()
    words = english.year_words(year) if len(year) > 2 else english.spelled_year(year)  # noqa: PLR2004
    return f"{_MONTHS[int(month) - 1]} {english.ordinal_words(int(day))}, {words}"


def _month_day(found: re.Match[str]) -> str:
    name, day, until, year = found.groups()
    days = english.ordinal_words(int(day)) + (f" to {english.ordinal_words(int(until))}" if until else "")
    return f"{_month(name)} {days}" + (f", {english.year_words(year)}" if year else "")


def _day_month(found: re.Match[str]) -> str:
    before, day, name, year = found.groups()
    year_words = f", {english.year_words(year)}" if year else ""
    return f"{before or 'the '}{english.ordinal_words(int(day))} of {_month(name)}{year_words}"


def _chinese_date(found: re.Match[str]) -> str:
    day = found.groupdict().get("day")
    month_words = f"{chinese.spelled_digits(found['year'])}年{chinese.number_words(found['month'])}月"
    return month_words + (f"{chinese.number_words(day)}日" if day else "")


def _chinese_days(found: re.Match[str]) -> str:
    first, last = chinese.number_words(found["first"]), chinese.number_words(found["last"])
    until = "至" if found["dash"] == "至" else "到"
    return f"{chinese.number_words(found['month'])}月{first}{found['sign']}{until}{last}{found['sign']}"


ENGLISH: Final = (
    rule(
        rf"\b({_MONTH} {_DAY}{_NTH})\s?[-–—]\s?(?={_MONTH} {_DAY}\b)",
        lambda found: f"{found[1]} to ",
        "Aug. 30–Sept. 2",
        "Aug. 30 to Sept. 2",
    ),
    rule(
        rf"\b{_WEEKDAY}\.?\s?[-–—]\s?{_WEEKDAY}(?:\.(?= [a-z0-9])|\b)",
        lambda found: " to ".join(_weekday(each) for each in found.groups()),
        "Mon–Fri",
        "Monday to Friday",
    ),
    rule(
        rf"(?<![\w./-])([12]\d{{3}})[-/]({_MONTH_NUMBER})[-/]({_DAY})(?![\w/-]|\.\d)",
        _iso,
        "2025-09-28",
        "September twenty-eighth, twenty twenty-five",
    ),
    rule(
        rf"(?<![\w./-])({_MONTH_NUMBER})/(1[3-9]|2\d|3[01])/([12]\d{{3}})(?![\w/-])",
        _american,
        "12/25/2024",
        "December twenty-fifth, twenty twenty-four",
    ),
    rule(
        rf"(?<![\w./-])({_MONTH_NUMBER})/({_DAY})/(\d\d)(?![\w/-])",
        _american,
        "11/17/05",
        "November seventeenth, oh five",
    ),
    rule(
        rf"(?<![\w./-])({_DAY})\.({_MONTH_NUMBER})\.((?:19|20)\d{{2}})(?![\w/-]|\.\d)",
        _dotted,
        "24.12.2024",
        "the twenty-fourth of December, twenty twenty-four",
    ),
    rule(
        rf"\b({_MONTH}) ({_DAY}){_NTH}(?:\s?[-–]\s?({_DAY}){_NTH})?\b"
        r"(?!:|\.\d|,\d|%| ?[ap]\.?m)(?:,? ([12]\d{3})\b)?",
        _month_day,
        "Sept. 3, 2024",
        "September third, twenty twenty-four",
    ),
    rule(
        rf"(?<![\w.:,/-])(\b[Tt]he )?({_DAY}){_NTH}(?: of)? ({_MONTH})(?![\w-])"  # words: speech
        r"(?:,? ([12]\d{3})\b)?",
        _day_month,
        "5 May 2020",
        "the fifth of May, twenty twenty",
    ),
    rule(
        rf"\b({_MONTH})(?<=\.) (?=[12]\d{{3}}\b)", lambda found: f"{_month(found[1])} ", "Sept. 2020", "September 2020"
    ),
    rule(
        r"\b(Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?= [a-z–—-]|[,;:)])"
        r"|(?<=to |in |by )(Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)(?=\.[^\w\s]{0,3}$)",
        lambda found: _month(found[1] or found[2]),
        "from Mar. to Sept.",
        "from March to September.",
    ),
)
CHINESE: Final = (
    rule(
        rf"(?<![\w./-])({_FULL_DATE}日?)\s?[-–—~～]{{1,2}}\s?(?=[12]\d{{3}}[-/.]\d)",
        lambda found: f"{found[1]}到",
        "2024.12.01—2024.12.31",
        "2024.12.01到2024.12.31",
    ),
    rule(
        r"(?<=[日号])\s?[-–—~～]{1,2}\s?(?=\d{1,2}月|[12]\d{3}年)|(?<=月)\s?[-–—~～]{1,2}\s?(?=\d{1,2}月)",
        lambda _: "到",
        "5月1日—6月3日",
        "5月1日到6月3日",
    ),
    rule(
        rf"(?<![\w/.])({_MONTH_NUMBER})/({_DAY})(?=放假|上班|开学|截止|开始|结束|出发|上线|发货|晚会|阅兵|情人节|妇女节|劳动节|国庆|大促|当天|那天|这天|起|日|号|早|晚|上午|下午|中午)[日号]?",
        lambda found: f"{chinese.number_words(found[1])}月{chinese.number_words(found[2])}日",
        "5/1放假",
        "五月一日放假",
    ),
    rule(
        rf"(?<![\w./-])(?P<year>[12]\d{{3}})(?P<mark>[-/.])(?P<month>{_MONTH_NUMBER})(?P=mark)(?P<day>{_DAY})日?(?![\w/-]|\.\d)",
        _chinese_date,
        "今天是2025-09-28",
        "今天是二零二五年九月二十八日",
    ),
    rule(
        r"(?<![\w./-])(?P<year>(?:19|20)\d{2})[-/](?P<month>0[1-9]|1[0-2])(?![\w/.-])",
        _chinese_date,
        "截至2025-09",
        "截至二零二五年九月",
    ),
    rule(
        rf"(?P<month>{_MONTH_NUMBER})月(?P<first>{_DAY})(?P<sign>[日号]?)\s?(?P<dash>[-–—~～至]+)\s?(?P<last>{_DAY})(?P=sign)(?![\d月])",
        _chinese_days,
        "5月1日-7日",
        "五月一日到七日",
    ),
    rule(
        rf"(?<![\d.])({_MONTH_NUMBER})月({_DAY})(?=[日号號])",  # wetext reads 2日 as a count of days
        lambda found: f"{chinese.number_words(found[1])}月{chinese.number_words(found[2])}",
        "2月2日",
        "二月二日",
    ),
)
