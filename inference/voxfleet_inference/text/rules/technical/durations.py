"""Durations, times of races and timestamps of machines."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_DURATION: Final = r"(?<![\w.])(?:(\d{1,3}) ?h ?)?(\d{1,2}) ?m(?:in)?(?: ?(\d{1,2}) ?s(?:ec)?)?(?!\w|\.\d)"
_TIMESTAMP: Final = r"(?<=\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)(?!\w)"


def _english_duration(found: re.Match[str]) -> str:
    names = ("hour", "minute", "second")
    parts = [
        f"{english.number_words(number)} {name}{'' if number == '1' else 's'}"
        for number, name in zip(found.groups(), names, strict=True)
        if number
    ]
    return " ".join(parts) if len(parts) > 1 else found[0]


def _chinese_duration(found: re.Match[str]) -> str:
    hours, minutes, seconds = found.groups()
    if not (hours or seconds):
        return found[0]
    words = f"{chinese.counted(hours)}小时" if hours else ""
    words += f"{chinese.number_words(minutes)}分{'' if seconds else '钟'}"
    return words + (f"{chinese.number_words(seconds)}秒" if seconds else "")


def _offset(zone: str) -> str:
    """Return the zone of a timestamp after UTC: empty, +8 or +5:30."""
    hours, minutes = zone[1:3], zone[-2:]
    return "" if zone == "Z" else f"{zone[0]}{int(hours)}" + (f":{minutes}" if minutes != "00" else "")


def _english_timestamp(found: re.Match[str]) -> str:
    hour, minute, second, zone = found.groups()
    seconds = f" and {english.number_words(str(int(second)))} seconds" if int(second or 0) else ""
    offset = _offset(zone).replace("+", " plus ").replace("-", " minus ")
    return f" at {hour}:{minute}{seconds} UTC{offset}"


def _chinese_timestamp(found: re.Match[str]) -> str:
    hour, minute, second, zone = found.groups()
    seconds = f"{chinese.number_words(str(int(second)))}秒" if int(second or 0) else ""
    zero = "零" if minute[0] == "0" and minute != "00" else ""
    words = f"{chinese.counted(str(int(hour)))}点{zero}{chinese.number_words(minute)}分"
    return f"，{words}{seconds}，UTC{_offset(zone).replace('+', '加').replace('-', '减')}"


def _chinese_race_time(found: re.Match[str]) -> str:
    before, hours, minutes, seconds = found.groups()
    words = f"{chinese.counted(str(int(hours)))}小时" if hours else ""
    words += f"{'零' if hours and minutes[0] == '0' else ''}{chinese.number_words(str(int(minutes)))}分"
    return f"{before}{words}{'零' if seconds[0] == '0' else ''}{chinese.number_words(str(int(seconds)))}秒"


def _race_time(found: re.Match[str]) -> str:
    minutes, seconds = found[1], found[2]
    return (
        f"{english.number_words(minutes)} {'oh ' if seconds[0] == '0' else ''}{english.number_words(str(int(seconds)))}"
    )


ENGLISH: Final = (
    rule(
        r"(?<![\w.,:$-])([01]\d|2[0-3])([0-5]\d)(?= (?:hours|hrs|local|GMT|UTC|EST|EDT|PST|PDT|CET)\b)",
        lambda found: " ".join(english.spelled_year(each) for each in found.groups()).replace("oh zero", "hundred"),
        "at 0342 local time",
        "at oh three forty-two local time",
    ),
    rule(
        r"(?<=\d:[0-5]\d)\s?[-–—]\s?(?=\d{1,2}(?:\s?[AaPp]\.?[Mm]|(?![\w:])))", lambda _: " to ", "8:30-5", "8:30 to 5"
    ),
    rule(
        r"(?<![\w:.,])(\d{1,3}):(\d{1,3}(?:,\d{3})+|\d{3,7})(?![\w:]|[.,]\d)",
        lambda found: f"{english.number_words(found[1])} to {english.decimal_words(found[2])}",
        "a scale of 1:50,000",
        "a scale of one to fifty thousand",
    ),
    rule(_DURATION, _english_duration, "1h 30m", "one hour thirty minutes"),
    rule(_TIMESTAMP, _english_timestamp, "2024-03-15T14:30:00Z", "2024-03-15 at 14:30 UTC"),
    rule(r"(?<=\d{4}-\d\d-\d\d)T(?=\d\d:\d\d)", lambda _: " ", "2023-01-15T08:30", "2023-01-15 08:30"),
    rule(
        r"(?<![\w:.,/-])(2[5-9]|[3-5]\d):([0-5]\d)(?![\w:]|\.\d)",  # no hour of a day
        _race_time,
        "ran it in 48:32",
        "ran it in forty-eight thirty-two",
    ),
)
CHINESE: Final = (
    rule(  # after a word of a duration; else a time of day
        r"((?:用时|耗时|时长|片长|历时|全程|成绩[是为]?|跑了|跑进|完赛|净时|总长|配速|半马|全马|马拉松|最好成绩|PB)(?:为|是|约|：|:)?\s?)"
        r"(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)(?![\w:]|\.\d)",
        _chinese_race_time,
        "用时1:52:36",
        "用时一小时五十二分三十六秒",
    ),
    rule(
        r"(?<![\w:.])()(\d{1,2}):([0-5]\d):([0-5]\d)(?=的成绩|的用时|完赛|跑完|夺冠)",
        _chinese_race_time,
        "2:08:15夺冠",
        "两小时零八分十五秒夺冠",
    ),
    rule(
        r"(?<=高)([是为有约：]?\s?)([3-7])['′’](\d{1,2})(?:[\"″”]|''|’’)",
        lambda found: f"{found[1]}{chinese.number_words(found[2])}英尺{chinese.number_words(found[3])}英寸",
        "身高5'11\"",
        "身高五英尺十一英寸",
    ),
    rule(
        r"(?<![\w.'′])()()(\d{1,3})['′’](\d{2})(?:[\"″”]|''|’’)(?!\w)",
        _chinese_race_time,
        "配速5'20\"",
        "配速五分二十秒",
    ),
    rule(_DURATION, _chinese_duration, "1h30m", "一小时三十分钟"),
    rule(_TIMESTAMP, _chinese_timestamp, "2024-03-15T14:30:00Z", "2024-03-15，十四点三十分，UTC"),
    rule(r"(?<=\d{4}-\d\d-\d\d)T(?=\d\d:\d\d)", lambda _: "，", "2023-01-15T08:30", "2023-01-15，08:30"),
    rule(
        r"(?<=\d秒)(\d\d)(?![\d.年月日点小])",
        lambda found: chinese.spelled_digits(found[1]),
        "37秒79夺冠",
        "37秒七九夺冠",
    ),
)
