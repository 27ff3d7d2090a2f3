"""Times of day, with AM and PM, with seconds, and spans of them."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_TIME: Final = r"([01]?\d|2[0-4]):([0-5]\d)"
_NOON: Final = 12
_PART_OF_DAY: Final = "凌晨|清晨|早上|早晨|上午|中午|下午|午后|傍晚|晚上|夜里|深夜|午夜"
_MORNING: Final = ("午夜", *["凌晨"] * 4, *["上午"] * 7)  # by the hour, 12 first
_AFTERNOON: Final = ("中午", *["下午"] * 5, *["晚上"] * 6)


def _english_time(found: re.Match[str]) -> str:
    hour, minute, half = int(found[1]), int(found[2]), (found[3] or "").replace(".", "").strip().upper()
    words = english.number_words(str(hour))
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{english.number_words(str(minute))}"  # noqa: PLR2004
    elif not half:
        words += " o'clock" if hour <= _NOON else " hundred"
    return f"{words} {half}".strip()


def _english_seconds(found: re.Match[str]) -> str:
    """Return a time of day with seconds; one whose hour has a single digit is a duration."""
    hour, minute, second = (english.number_words(str(int(each))) for each in found.groups())
    seconds = f"{second} second{'s' * (int(found[3]) != 1)}"
    if len(found[1]) == 1 or int(found[2]) == 0:
        hours, minutes = "hour" + "s" * (int(found[1]) != 1), "minute" + "s" * (int(found[2]) != 1)
        return f"{hour} {hours}, {minute} {minutes} and {seconds}"
    return f"{hour} {'oh ' if int(found[2]) < 10 else ''}{minute} and {seconds}"  # noqa: PLR2004


def _chinese_time(found: re.Match[str]) -> str:
    return _chinese_clock(found[1], found[2], found[3])


def _chinese_half_day(found: re.Match[str]) -> str:
    """Return a time with AM or PM; the Chinese part of the day before it stays, if there is one."""
    part, hour, minute, half = found.groups()
    if not 1 <= int(hour) <= _NOON:
        return found[0]
    parts = _MORNING if half in "Aa" else _AFTERNOON
    return (part or parts[int(hour) % _NOON]) + _chinese_clock(hour, minute or "00")


def _chinese_clock(hour: str, minute: str, second: str = "") -> str:
    words = f"{chinese.counted(str(int(hour)))}点"
    if minute != "00":
        words += "零" + chinese.number_words(minute) if minute < "10" else chinese.number_words(minute)
        words += "分"
    return words + (f"{'零分' if minute == '00' else ''}{chinese.number_words(second)}秒" if second else "")


ENGLISH: Final = (
    rule(
        r"(?<=[ap]\.m\.)\s?[-–—]\s?(?=\d)|(?<=\d[ap]m)\s?[-–—]\s?(?=\d)|(?<=\d [AaPp][Mm])\s?[-–—]\s?(?=\d)"
        r"|(?<=0s)[-–](?=['’]?\d{2,4}s\b)",
        lambda _: " to ",
        "4 PM - 8 PM",
        "4 PM to 8 PM",
    ),
    rule(r"(?<=:[0-5]\d)\s?[-–—~]\s?(?=\d?\d:[0-5]\d)", lambda _: " to ", "9:00-17:00", "9:00 to 17:00"),
    rule(
        rf"(?<![\w:.]){_TIME}:([0-5]\d)(?![\w:])",
        _english_seconds,
        "15:30:45",
        "fifteen thirty and forty-five seconds",
    ),
    rule(
        rf"(?<![\w:.]){_TIME}(?!\d|:\d|\.\d)(\s?(?:[ap]\.m\.(?= [a-z0-9(])|[ap]\.m(?=\.)|[AaPp][Mm]\b))?",
        _english_time,
        "9:05 a.m. daily",
        "nine oh five AM daily",
    ),
)
CHINESE: Final = (
    rule(r"(?<![\w.:第])2点(?!\d)", lambda _: "两点", "下午2点整", "下午两点整"),
    rule(r"(?<=:[0-5]\d)\s?[-–—~～]+\s?(?=\d?\d:[0-5]\d)", lambda _: "到", "9:00-17:00", "9:00到17:00"),
    rule(
        rf"({_PART_OF_DAY})?\s?(?<![\w:.])(\d{{1,2}})(?::([0-5]\d))?\s?([AaPp])(?:[Mm]\b|\.[Mm]\.)",
        _chinese_half_day,
        "明天9:30 AM出发",
        "明天上午九点三十分出发",
    ),
    rule(rf"(?<![\w:.]){_TIME}:([0-5]\d)(?![\w:])", _chinese_time, "15:30:45", "十五点三十分四十五秒"),
    rule(rf"(?<![\w:.]){_TIME}()(?![\w:]|\.\d)", _chinese_time, "上午9:05", "上午九点零五分"),
)
