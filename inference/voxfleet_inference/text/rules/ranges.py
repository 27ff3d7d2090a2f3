"""Ranges: two numbers with a hyphen, a dash or a tilde between them."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_NUMBER: Final = r"(\d[\d,]*(?:\.\d+)?)"
_DASH: Final = r"\s?(?:[-–—~～]|——)\s?"
_BEFORE: Final = r"(?<![\w.,:/=+×*-])"
_AFTER: Final = r"(?![\w/-]|[.,:]\d|\s?=)"
_MEASURE_WORDS: Final = "个份杯碗盘张只条件位名台辆块本瓶盒袋包箱双对间套座栋棵朵颗粒片支把根场家所部种类次遍趟顿"
_POWER_AHEAD: Final = (
    "[^，。；！？、\\d]{0,10}(?:快充|充电|闪充|功率|电源|电器|适配器|灯|瓦|电机|音箱|音响|加热|风扇|电池)"
)
_LEAST_TELEPHONE_DIGITS: Final = 7


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _english_range(found: re.Match[str]) -> str:
    first, percent, last = found.groups()
    return f"{english.decimal_words(first)}{' percent' if percent else ''} to {english.decimal_words(last)}"


def _chinese_percent(found: re.Match[str]) -> str:
    first, last = (chinese.decimal_words(each) for each in found.group(1, 3))
    return f"百分之{first}到{'百分之' if found[2] else ''}{last}"


def _chinese_range(found: re.Match[str]) -> str:
    first, first_unit, last = found.group(1, 2, 3)
    if not first_unit and (_value(first) >= _value(last) or len(first) >= _LEAST_TELEPHONE_DIGITS):
        return found[0]  # a score, a room or a difference
    before_unit = first_unit or found[4]
    second = chinese.counted(last) if found[4] else chinese.decimal_words(last)
    return (chinese.counted(first) if before_unit else chinese.decimal_words(first)) + f"{first_unit}到{second}"


def _falling(found: re.Match[str]) -> str:
    """Return a number with a hyphen that falls, which is a name and no range, with its hyphen."""
    if _value(found[2]) <= _value(found[3]):
        return found[0]
    return f"{found[1]}{english.number_words(found[2])} dash {english.number_words(found[3])}"


ENGLISH: Final = (
    rule(
        r"\b((?:[Nn]umber|[Uu]nit|[Bb]uilding|[Bb]lock|[Ll]ot|[Bb]ox|[Ff]igure|[Tt]able|[Oo]pus) )"
        r"(\d{1,4})-(\d{1,4})(?![\w-]|[.,]\d)",
        _falling,
        "at number 88-1",
        "at number eighty-eight dash one",
    ),
    rule(
        r"(?<![\w.,:/-])(\d+\.\d+)(?=(?![smghlxkt](?!\w))[a-z]{1,2}(?!\w))",
        lambda found: f"{english.decimal_words(found[1])} ",
        "802.11ax",
        "eight hundred and two point one one ax",
    ),
    rule(
        rf"(?<![\w.,:/$€£=+-]){_NUMBER}(%?)\s?[-–—~]\s?{_NUMBER}(?![\w/-]|[.,:]\d)(?<!-0)",
        _english_range,
        "10-20 people",
        "ten to twenty people",
    ),
    rule(
        r"(?<=day)[-–](?=(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)",
        lambda _: " to ",
        "Monday-Friday",
        "Monday to Friday",
    ),
    rule(r"(?<![\w.,$-])1000(?![\w-]|[.,]\d)", lambda _: "one thousand", "1000 miles", "one thousand miles"),
    rule(
        r"(?<![\w.,$])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]\d)",
        lambda found: english.decimal_words(found[0]),
        "1,000",
        "one thousand",
    ),
)
CHINESE: Final = (
    rule(
        r"(?<![\w.,:/%-])(?:(?:520|521|1314)(?=那天|这天|当天|快乐|礼物|红包|大促|活动|表白)|23{3,9}|6{3,9}|996|985|211|007)"
        r"(?![\w.,:/%-]|\s?[元块个人名位页米克台次分号室路年月天岁件亿万千百多余公英平吨美])",
        lambda found: chinese.spelled_digits(found[0]),
        "985高校",
        "九八五高校",
    ),
    rule(
        # ten thousands, of people and money; watts near a word of power
        rf"(?<![\w.,])(?<!功率)(?<!快充)(?<!充电)(?<!功率为)(\d{{1,3}}(?:\.\d+)?)w(\+?)(?![\w.]|{_POWER_AHEAD})",
        lambda found: f"{chinese.decimal_words(found[1])}万{'加' if found[2] else ''}",
        "10w+粉丝",
        "十万加粉丝",
    ),
    rule(
        rf"(?<![\d.,第年月:/~～–—-])2(?=[{_MEASURE_WORDS}](?![月日]))",
        lambda _: "两",
        "2份报告",
        "两份报告",
    ),
    rule(r"(?<=[\dA-Za-z)）])\s?[-−]\s?(?=[\dA-Za-z(（][\d.]*\s?=)", lambda _: "减", "x-2=3", "x减2=3"),
    rule(
        r"(?<=[歼运轰直枭风舟娥宫征鹰安号歌苏图格旗星雳])-(?=\d{1,3}(?![\d.%℃°度]))",  # a model's name
        lambda _: "",
        "歼-20",
        "歼20",
    ),
    rule(rf"{_BEFORE}{_NUMBER}(%?){_DASH}{_NUMBER}%", _chinese_percent, "增长10-20%", "增长百分之十到二十"),
    rule(
        rf"{_BEFORE}{_NUMBER}([十百千万亿年月日号点元块岁天周个米]*){_DASH}{_NUMBER}(?=([^\W\d_]|[一-鿿])?){_AFTER[:3]}\d/-]|[.,:]\d|\s?=)",
        _chinese_range,
        "10-20元",
        "十到二十元",
    ),
    rule(
        r"(?<![\w.])(\d+(?:\.\d+)?)([kKwWMGT])\s?[-–—~～]\s?(?=\d+(?:\.\d+)?\2(?![A-Za-z]))",
        lambda found: f"{chinese.decimal_words(found[1])}{found[2]}到",
        "5k-8k",
        "五k到8k",
    ),
    rule(
        # wetext reads 12.5公斤 as the fifth of December.
        r"(?<![\w.,:/-])(?:[1-9]|1[0-2])\.\d{1,2}(?=[公千斤克米厘毫倍万亿元块度个升吨平秒分小岁折寸英级美欧百萬億點成])",
        lambda found: chinese.decimal_words(found[0]),
        "12.5公斤",
        "十二点五公斤",
    ),
    rule(
        r"(?<![\w.,$])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]\d)",  # wetext knows only simplified measure words
        lambda found: chinese.decimal_words(found[0]),
        "3,000個",
        "三千個",
    ),
    rule(
        r"(?<=[周星期礼拜][一二三四五六日天])\s?[-–—~～]\s?(?=(?:周|星期|礼拜)?[一二三四五六日天])",
        lambda _: "到",
        "周一-周五",
        "周一到周五",
    ),
)
