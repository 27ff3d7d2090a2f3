"""Names of models with a number: graphics cards, aircraft, cars, codecs, standards. Digits in pairs or one by one."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_CHIP: Final = r"(?<![A-Za-z])((?:RTX|GTX|RX|Radeon|GeForce|Quadro|Ryzen \d|Xeon|Core i\d|i[3579])[- ]?)"
_STANDARD: Final = (
    r"(?<![A-Za-z])(GB/[TZ]|GB|ISO/IEC|ISO|IEC|IEEE|[A-Z]{2}/T)\s?(\d{2,6})(?:\.(\d{1,2}))?(?:[-—–:](\d{4}))?(?![\d.])"
)
_CODEC: Final = r"(?<![A-Za-z])([HGX])\.(\d{3})(?!\w|\.\d)"
_SEAT: Final = (
    r"\b([Ss]eats?|[Rr]ow|[Gg]ate|[Rr]oom|[Aa]partment|[Aa]pt\.?|[Uu]nit|[Pp]latform|[Ss]uite|[Ff]lat)"
    r" (\d{1,3})([A-Z])(?!\w)"
)
_RUNWAY: Final = {"L": "left", "R": "right", "C": "center"}
_SEVERAL: Final = r"(?<![\w.])([A-Z]{1,4}\d{1,2})s(?!\w)"
_HUNDREDS: Final = re.compile(r"[1-9]0{2,3}")


def _english_paired(digits: str) -> str:
    """Return a model's number in pairs; of five digits the first are two or three: thirteen six hundred."""
    if len(digits) <= 4:  # noqa: PLR2004
        return english.paired_words(digits) if len(digits) > 2 else english.number_words(digits)  # noqa: PLR2004
    return f"{english.number_words(digits[:2])} {english.paired_words(digits[2:])}"


def _english_chip(found: re.Match[str]) -> str:
    return f"{found[1].rstrip('- ')} {_english_paired(found[2])}" + (f" {found[3]}" if found[3] else "")


def _chinese_model(found: re.Match[str]) -> str:
    """Return letters, digits and letters apart; hundreds are a number, one or two digits too."""
    letters, digits, last = found.groups()
    is_number = len(digits) <= 2 or _HUNDREDS.fullmatch(digits)  # noqa: PLR2004
    words = chinese.number_words(digits) if is_number else chinese.telephone_digits(digits)
    return letters + words + (f" {last}" if last else "")


def _chinese_standard(found: re.Match[str]) -> str:
    name, number, part, year = found.groups()
    words = chinese.spelled_digits(number) + (f"点{chinese.number_words(part)}" if part else "")
    return name.replace("/", "斜杠") + words + (f"杠{chinese.spelled_digits(year)}" if year else "")


def _english_several(found: re.Match[str]) -> str:
    letters, digits = found[1].rstrip("0123456789"), found[1].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    words = english.number_words(digits)
    plural = words.removesuffix("y") + "ies" if words.endswith("y") else words + ("es" if words.endswith("x") else "s")
    return f"{letters} {plural}"


ENGLISH: Final = (
    rule(_CHIP + r"(\d{3,5})(Ti|[A-Z]{1,2})?(?!\w)", _english_chip, "an RTX 4090", "an RTX forty ninety"),
    rule(
        _CODEC,
        lambda found: f"{found[1]} {english.paired_words(found[2])}",
        "in H.264",
        "in H two sixty-four",
    ),
    rule(
        r"\b([Rr]unways? )(\d{1,2})([LRC])\b",
        lambda found: f"{found[1]}{english.number_words(found[2])} {_RUNWAY[found[3]]}",
        "runway 27L",
        "runway twenty-seven left",
    ),
    rule(
        _SEAT,
        lambda found: f"{found[1]} {_english_paired(found[2])} {found[3]}",
        "room 14C",
        "room fourteen C",
    ),
    rule(_SEVERAL, _english_several, "two MP3s", "two MP threes"),
    rule(
        r"(?<![\w.])(\d{1,3})(?:st|nd|rd|th)-(?=[a-z])",
        lambda found: f"{english.ordinal_words(found[1])}-",
        "a 2nd-gen one",
        "a second-gen one",
    ),
)
CHINESE: Final = (
    rule(_STANDARD, _chinese_standard, "GB/T 15835-2011", "GB斜杠T一五八三五杠二零一一"),
    rule(
        _CHIP + r"(\d{3,5})(Ti|[A-Z]{1,2})?(?![\w.])",
        lambda found: (
            f"{found[1].rstrip('- ')}{chinese.spelled_digits(found[2])}" + (f" {found[3]}" if found[3] else "")
        ),
        "RTX 4090显卡",
        "RTX四零九零显卡",
    ),
    rule(_CODEC, lambda found: f"{found[1]}点{chinese.spelled_digits(found[2])}", "H.264编码", "H点二六四编码"),
    rule(
        r"(波音|空客|空中客车|麦道)\s?(A?)(\d{3})(?![\d.]|[架亿万人年])",
        lambda found: found[1] + found[2] + chinese.spelled_digits(found[3]),
        "波音747",
        "波音七四七",
    ),
    rule(
        r"(?<![A-Za-z\d.-])(?![A-Z]2[A-Z](?![A-Za-z]))([A-Z]{1,4})(\d{1,4})([A-Z]{1,2})(?![A-Za-z\d.-])",  # not B2B
        _chinese_model,
        "奔驰E300L",
        "奔驰E三百 L",
    ),
    rule(
        r"(?<![A-Za-z\d.-])(C|ARJ|A)(9\d\d|21|3[1-8]0)()(?![\w.-]|[次号页人])",
        _chinese_model,
        "C919首飞",
        "C九幺九首飞",
    ),
    rule(
        r"(?<![A-Za-z\d])([A-Z])(\d{1,2})()(?=[层楼座口栋区馆厅门])",
        _chinese_model,
        "停在B2层",
        "停在B二层",
    ),
)
