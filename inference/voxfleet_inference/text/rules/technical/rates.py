"""Rates with more than one slash, or with a Chinese word after it: `mcg/kg/min`, `0.5g/次`, `3次/日`."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule
from voxfleet_inference.text.rules.technical.unit_names import CHINESE as CHINESE_NAMES
from voxfleet_inference.text.rules.technical.unit_names import ENGLISH as ENGLISH_NAMES
from voxfleet_inference.text.rules.technical.unit_names import ENGLISH_PER

_NUMBER: Final = r"(?<![\w.,–—~-])(\d[\d,]*(?:\.\d+)?)"


def _one_of(names: dict[str, str] | dict[str, tuple[str, str]]) -> str:
    return "|".join(re.escape(each) for each in sorted(names, key=len, reverse=True))


def _english_rates(found: re.Match[str]) -> str:
    number, unit, *pers = found.groups()
    one_or_several = ENGLISH_NAMES[unit][number != "1"]
    return f"{english.decimal_words(number)} {one_or_several} per " + " per ".join(ENGLISH_PER[per] for per in pers)


_PERIODS: Final = {"mo": "month", "yr": "year", "wk": "week", "bbl": "barrel"}
_LETTERS: Final = {"k": "k", "K": "K", "M": "million", "B": "billion"}
_COUNTED: Final = "次个人件块台辆位杯片粒袋瓶盒支针单组步转帧字页张套笔瓦元度升万"
_PER: Final = (
    r"(?:次|分钟?|秒|小时|时|天|日|周|月|季度?|年|人|片|粒|袋|瓶|盒|支|台|辆|件|个"
    r"|平方?米|平|亩|户|套|位|晚|股|吨|斤|公斤|公里|千米|米|升"
    r"|组|间|桌|轮|班|排|箱|包|层|场|课时|课|节|题|局|学期|车|栋|队|房|杯|碗|份|只|条|双|对|张|盘|瓦时|度|首|篇|字|页)"
)


def _english_unit_of_power(found: re.Match[str]) -> str:
    per = f" per {ENGLISH_PER[found[2]]}" if found[2] else ""
    return f" {ENGLISH_NAMES[found[1]][1]}{per}"


def _chinese_unit_of_power(found: re.Match[str]) -> str:
    return CHINESE_NAMES.get(found[1] or "", "") + (f"每{CHINESE_NAMES[found[2]]}" if found[2] else "")


ENGLISH: Final = (
    rule(
        r"(?<=power of [a-z]{3}|ower of [a-z]{4}|wer of [a-z]{5})\s{1,2}"
        rf"({_one_of(ENGLISH_NAMES)})(?:/({_one_of(ENGLISH_PER)}))?(?![\w/²³°])",
        _english_unit_of_power,
        "10 to the power of eight m/s",
        "10 to the power of eight meters per second",
    ),
    rule(
        r"(?<![\w.$€£,])(\d+\.\d+)([kKMB])(?![\w/])",
        lambda found: f"{english.decimal_words(found[1])} {_LETTERS[found[2]]}",
        "1.2k users",
        "one point two k users",
    ),
    rule(
        r"(?<=half|rter|hird|ters|irds)( of a)? c\.(?= [a-z])|(?<=\d) c\.(?= [a-z])",
        lambda found: f"{found[1] or ''} cup",
        "1 c. flour",
        "1 cup flour",
    ),
    rule(
        rf"{_NUMBER}\s?({_one_of(ENGLISH_NAMES)})/({_one_of(ENGLISH_PER)})/({_one_of(ENGLISH_PER)})(?![\w/²³°])",
        _english_rates,
        "2.5 mcg/kg/min",
        "two point five micrograms per kilogram per minute",
    ),
    rule(
        r"(?<=[A-Za-z\d%])\s?/\s?(month|year|day|hour|week|person|night|minute|second|share|unit|user|seat|barrel|ounce|gallon|ton|mile|call|head"
        r"|mo|yr|wk|hr|lb|kg|bbl|oz|min|gal|kWh|MWh)\b(?!(?<=kg)/|(?<=min)/)(?:\.(?= [a-z+&(]))?",
        lambda found: f" per {(_PERIODS | ENGLISH_PER).get(found[1], found[1])}",
        "$20/mo",
        "$20 per month",
    ),
    rule(r"(?<=dollars|. cents)\s?/\s?(?=\d)", lambda _: " per ", "two dollars/1K", "two dollars per 1K"),
)
CHINESE: Final = (
    rule(
        rf"(?<=次方|立方|平方)\s?({_one_of(CHINESE_NAMES)})?(?:/({_one_of(CHINESE_NAMES)}))?(?![\w/²³°])",
        _chinese_unit_of_power,
        "十的负六次方mol/L",
        "十的负六次方摩尔每升",
    ),
    rule(
        rf"{_NUMBER}\s?({_one_of(CHINESE_NAMES)})/(?={_PER}(?:[^一-鿿]|$))",
        lambda found: f"{chinese.counted(found[1])}{CHINESE_NAMES[found[2]]}每",
        "0.5g/次，",
        "零点五克每次，",
    ),
    rule(
        rf"(?<=\d[{_COUNTED}])/(?={_PER}(?:[^一-鿿]|[的起左以收计内]|$))|(?<=\d)/(?=(?:人|位|间|晚|月|年|天|组|桌|课时|小时|次)(?:[^一-鿿]|$))",
        lambda _: "每",
        "3次/日，2680/人。",
        "3次每日，2680每人。",
    ),
    rule(
        rf"(?<=[元块角分])/({_one_of(CHINESE_NAMES)}|[GT]B?)(?![A-Za-z\d/²³])",
        lambda found: f"每{CHINESE_NAMES.get(found[1], found[1])}",
        "15元/㎡收费",
        "15元每平方米收费",
    ),
)
