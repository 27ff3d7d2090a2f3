"""Units of measurement that wetext does not know or reads in another way."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule
from voxfleet_inference.text.rules.technical.unit_names import CHINESE as CHINESE_NAMES
from voxfleet_inference.text.rules.technical.unit_names import ENGLISH as ENGLISH_NAMES
from voxfleet_inference.text.rules.technical.unit_names import ENGLISH_PER

_NUMBER: Final = r"(?<![\w.,–—~-])(?:(\d[\d,]*(?:\.\d+)?)\s?[-–—~～]\s?)?([-−]?\d[\d,]*(?:\.\d+)?)"  # or a range of two
_ENGLISH_UNITS: Final = "|".join(re.escape(each) for each in sorted(ENGLISH_NAMES, key=len, reverse=True))
_ENGLISH_PERS: Final = "|".join(re.escape(each) for each in sorted(ENGLISH_PER, key=len, reverse=True))
_CHINESE_UNITS: Final = "|".join(re.escape(each) for each in sorted(CHINESE_NAMES, key=len, reverse=True))


def _english_unit(found: re.Match[str]) -> str:
    first, number, hyphen, unit = found.groups()
    is_one = number == "1" or hyphen == "-"  # a 5-km run
    span = f"{english.decimal_words(first)} to " if first else ""
    return f"{span}{english.decimal_words(number)} {ENGLISH_NAMES[unit][not is_one]}"


def _english_unit_with_slash(found: re.Match[str]) -> str:
    """Return `7 L/` of `7 L/100 km` as a rate, `16 GB/` of `16 GB/512 GB` as one of two amounts."""
    is_alike = found[3] == found[4] or found[3][0] == found[4][0] == "°" or found[3][1:] == found[4][1:] == "B"
    name = ENGLISH_NAMES[found[3]][found[2] != "1"]
    return f"{english.decimal_words(found[2])} {name}{', ' if is_alike else ' per '}"


def _english_rate(found: re.Match[str]) -> str:
    first, number, unit, per = found.groups()
    span = f"{english.decimal_words(first)} to " if first else ""
    return f"{span}{english.decimal_words(number)} {ENGLISH_NAMES[unit][number != '1']} per {ENGLISH_PER[per]}"


def _chinese_rate(found: re.Match[str]) -> str:
    first, number, unit, per = found.groups()
    span = f"{chinese.counted(first)}到" if first else ""
    return f"{span}{chinese.counted(number)}{CHINESE_NAMES[unit]}每{CHINESE_NAMES[per]}"


def _after_fraction(found: re.Match[str]) -> str:
    return f"{found[1]} {ENGLISH_NAMES[found[2]][found[1].startswith('and ')]}"


def _chinese_unit(found: re.Match[str]) -> str:
    first, number, unit = found.groups()
    span = f"{chinese.counted(first)}到" if first else ""
    return span + chinese.counted(number) + CHINESE_NAMES[unit]


def _chinese_degrees(found: re.Match[str]) -> str:
    below, number = found.groups()
    return ("零下" if below else "") + chinese.decimal_words(number) + "摄氏度"


def _degree_span(found: re.Match[str]) -> str:
    first, unit, last = found.groups()
    words = [("零下" if each[0] in "-−" else "") + chinese.decimal_words(each.lstrip("-−")) for each in (first, last)]
    return f"{words[0]}{'摄氏度' if unit else ''}到{words[1]}摄氏度"


ENGLISH: Final = (
    rule(
        r"(?<![\w.,$€£])(\d+(?:\.\d+)?)"
        r"(?:m(?= (?:people|users|views|followers|subscribers|downloads|copies|jobs|tons)\b)"
        r"|M(?= (?:people|(?!has|was|is|does|its|as|this)[a-z]{2,}s)\b))",
        lambda found: f"{english.decimal_words(found[1])} million",
        "10m users",
        "ten million users",
    ),
    rule(
        # wetext reads minutes; between hours and seconds they are.
        rf"{_NUMBER}(?<!h \d\d)(?<!h \d)(\s?)(m)(?![\w/²³°&'’-]| ?\d+ ?s\b| ago\b)",
        lambda found: (
            f"{english.decimal_words(found[1]) + ' to ' if found[1] else ''}"
            f"{english.decimal_words(found[2])} meter{'s' * (found[2] != '1')}"
        ),
        "8,849 m high",
        "eight thousand, eight hundred and forty-nine meters high",
    ),
    rule(
        rf"{_NUMBER}\s?({_ENGLISH_UNITS})/({_ENGLISH_PERS})(?![\w/²³°])(?<!km/h)(?<!m/s)(?<!km/s)",
        _english_rate,
        "5 mg/dL",
        "five milligrams per deciliter",
    ),
    rule(
        r"\b((?:and (?:a|an) )?(?:half|quarters?|thirds?|eighths?)) (tsp|tbsp|oz|lbs?|km|kg|mi|cm|mm|ml|L|ft)\b\.?",
        _after_fraction,
        "one and a half tsp",
        "one and a half teaspoons",
    ),
    rule(
        rf"{_NUMBER}\s?({_ENGLISH_UNITS})/(?=\d+\s?({_ENGLISH_UNITS})(?![A-Za-z]))",
        _english_unit_with_slash,
        "7 L/100 km",
        "seven liters per 100 km",
    ),
    rule(
        rf"{_NUMBER}( )B(?![\w/])", lambda found: f"{english.decimal_words(found[2])} bytes", "64 B", "sixty-four bytes"
    ),
    rule(
        rf"{_NUMBER}([\s-]?)({_ENGLISH_UNITS})(?![\w/²³°])(?:\.(?= [a-z]))?",
        _english_unit,
        "16 GB",
        "sixteen gigabytes",
    ),
    rule(
        r"(?<![\w.])(\d+(?:\.\d+)?)[xX×](?![\w]|\s?[-+=<>/^*²³]|\s(?:plus|minus|equals|is less|is greater)\b)",
        lambda found: f"{english.decimal_words(found[1])} times",
        "2x faster",
        "two times faster",
    ),
)
CHINESE: Final = (
    rule(
        r"(?<![\w.])(-?\d+(?:\.\d+)?)(℃|°C|度)?\s?(?:[-–—~～]|——)\s?(-?\d+(?:\.\d+)?)\s?(?:℃|°C)",
        _degree_span,
        "气温-5~10℃",
        "气温零下五到十摄氏度",
    ),
    rule(r"(?<![\w.])([-−])?(\d+(?:\.\d+)?)\s?(?:℃|°C)", _chinese_degrees, "-5℃", "零下五摄氏度"),
    rule(
        r"(?<![\w.])([-−])?(\d+(?:\.\d+)?)\s?(?:℉|°F)",
        lambda found: _chinese_degrees(found).replace("摄氏", "华氏"),
        "98.6°F",
        "九十八点六华氏度",
    ),
    rule(
        rf"{_NUMBER}\s?({_CHINESE_UNITS})/({_CHINESE_UNITS})(?![\w/²³°])(?<!km/h)(?<!m/s)",
        _chinese_rate,
        "1.2g/cm³",
        "一点二克每立方厘米",
    ),
    rule(
        rf"{_NUMBER}\s?({_CHINESE_UNITS})/(?=\d+\s?({_CHINESE_UNITS})(?![A-Za-z]))",
        lambda found: f"{chinese.counted(found[2])}{CHINESE_NAMES[found[3]]}{'、' if found[3] == found[4] else '每'}",
        "6L/100km",
        "六升每100km",
    ),
    rule(
        r"(?<=[每/])(km²|m²|m³|㎡|km|kg)(?![A-Za-z])", lambda found: CHINESE_NAMES[found[1]], "每㎡5万", "每平方米5万"
    ),
    rule(
        r"(?<![\d.,第年月])2(?=[個張條隻輛歲塊層間頁雙種場顆門臺盞幅萬億])",  # wetext knows simplified ones only
        lambda _: "兩",
        "2個",
        "兩個",
    ),
    rule(
        rf"(?<![\w.,])(\d[\d,]*(?:\.\d+)?)([百千万亿]{{1,2}})\s?({_CHINESE_UNITS})(?![\w/²³°])",
        lambda found: f"{chinese.decimal_words(found[1])}{found[2]}{CHINESE_NAMES[found[3]]}",
        "38.44万km",
        "三十八点四四万公里",
    ),
    rule(rf"{_NUMBER}\s?({_CHINESE_UNITS})(?![\w/²³°])", _chinese_unit, "时速60km/h", "时速六十公里每小时"),
    rule(
        r"(?<![\w.,])(\d+(?:\.\d+)?)(?= [a-z]{4,})",  # wetext reads "2 songs" as 2 s and "ongs"
        lambda found: chinese.decimal_words(found[1]),
        "2 songs",
        "二 songs",
    ),
    rule(r"(?<![\w.])(\d+(?:\.\d+)?)‰", lambda found: f"千分之{chinese.decimal_words(found[1])}", "3‰", "千分之三"),
)
