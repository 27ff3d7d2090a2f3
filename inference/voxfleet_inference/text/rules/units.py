"""Units of measurement that wetext does not know or reads in another way."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_NUMBER: Final = r"(?<![\w.,–—~-])(?:(\d[\d,]*(?:\.\d+)?)\s?[-–—~～]\s?)?([-−]?\d[\d,]*(?:\.\d+)?)"  # or a range of two
# Per unit: one, several.
_ENGLISH: Final = {
    "B": ("byte", "bytes"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "GiB": ("gibibyte", "gibibytes"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "mAh": ("milliamp hour", "milliamp hours"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"),
    "V": ("volt", "volts"),
    "dB": ("decibel", "decibels"),
    "ms": ("millisecond", "milliseconds"),
    "µs": ("microsecond", "microseconds"),
    "μs": ("microsecond", "microseconds"),
    "ns": ("nanosecond", "nanoseconds"),
    "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "fps": ("frame per second", "frames per second"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "yd": ("yard", "yards"),
    "mi": ("mile", "miles"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "mL": ("milliliter", "milliliters"),
    "ml": ("milliliter", "milliliters"),
    "L": ("liter", "liters"),
    "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "mins": ("minute", "minutes"),
    "min": ("minute", "minutes"),
    "secs": ("second", "seconds"),
    "sec": ("second", "seconds"),
    "°": ("degree", "degrees"),
    "m²": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"),
    "m³": ("cubic meter", "cubic meters"),
    "sq ft": ("square foot", "square feet"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℃": ("degree Celsius", "degrees Celsius"),
    "dpi": ("dot per inch", "dots per inch"),
}
_CHINESE: Final = {
    "km/h": "公里每小时",
    "m/s": "米每秒",
    "km²": "平方公里",
    "m²": "平方米",
    "㎡": "平方米",
    "m³": "立方米",
    "km": "公里",
    "cm": "厘米",
    "mm": "毫米",
    "μm": "微米",
    "nm": "纳米",
    "kg": "公斤",
    "mg": "毫克",
    "g": "克",
    "mL": "毫升",
    "ml": "毫升",
    "L": "升",
    "kWh": "千瓦时",
    "kW": "千瓦",
    "MW": "兆瓦",
    "W": "瓦",
    "V": "伏",
    "mAh": "毫安时",
    "GHz": "吉赫兹",
    "MHz": "兆赫兹",
    "kHz": "千赫兹",
    "Hz": "赫兹",
    "Mbps": "兆比特每秒",
    "Gbps": "吉比特每秒",
    "dB": "分贝",
    "ms": "毫秒",
    "s": "秒",
    "min": "分钟",
    "m": "米",
    "h": "小时",
    "t": "吨",
    "kPa": "千帕",
    "hPa": "百帕",
    "Pa": "帕",
    "kcal": "千卡",
    "°": "度",
    "fps": "帧每秒",
    "rpm": "转每分钟",
}
_ENGLISH_UNITS: Final = "|".join(re.escape(each) for each in sorted(_ENGLISH, key=len, reverse=True))
_CHINESE_UNITS: Final = "|".join(re.escape(each) for each in sorted(_CHINESE, key=len, reverse=True))


def _english_unit(found: re.Match[str]) -> str:
    first, number, hyphen, unit = found.groups()
    is_one = number == "1" or hyphen == "-"  # a 5-km run
    span = f"{english.decimal_words(first)} to " if first else ""
    return f"{span}{english.decimal_words(number)} {_ENGLISH[unit][not is_one]}"


def _feet_inches(found: re.Match[str]) -> str:
    return f"{english.number_words(found[1])} foot {english.number_words(found[2])}"


def _chinese_unit(found: re.Match[str]) -> str:
    first, number, unit = found.groups()
    span = f"{chinese.counted(first)}到" if first else ""
    return span + chinese.counted(number) + _CHINESE[unit]


def _chinese_degrees(found: re.Match[str]) -> str:
    below, number = found.groups()
    return ("零下" if below else "") + chinese.decimal_words(number) + "摄氏度"


def _degree_span(found: re.Match[str]) -> str:
    first, unit, last = found.groups()
    words = [("零下" if each[0] in "-−" else "") + chinese.decimal_words(each.lstrip("-−")) for each in (first, last)]
    return f"{words[0]}{'摄氏度' if unit else ''}到{words[1]}摄氏度"


def _product(found: re.Match[str]) -> str:
    return f"{found[1]}乘"


ENGLISH: Final = (
    rule(
        rf"{_NUMBER}( )(m)(?= (?:high|tall|long|deep|wide|above|below|away|race|run|dash|sprint|freestyle|from)\b)",
        lambda found: f"{english.decimal_words(found[2])} meters",
        "8,849 m high",
        "eight thousand, eight hundred and forty-nine meters high",
    ),
    rule(
        r"(?<![\w.])(\d)(?:'|′|’|\s?ft\.?\s)(\d{1,2})(?:\"|″|”|''|\s?in\b\.?)",
        _feet_inches,
        "5'11\"",
        "five foot eleven",
    ),
    rule(
        r"(?<![\w.])([-−]?\d+(?:\.\d+)?)(?:\"|″)(?= [a-z])",
        lambda found: f"{english.decimal_words(found[1])} inch",
        '27" screen',
        "twenty-seven inch screen",
    ),
    rule(r"(?<=\d)\s?[x×](?=\s?\d)", lambda _: " by ", "1920x1080", "1920 by 1080"),
    rule(rf"{_NUMBER}([\s-]?)({_ENGLISH_UNITS})(?![\w/²³°])", _english_unit, "16 GB", "sixteen gigabytes"),
    rule(
        r"(?<![\w.])(\d+(?:\.\d+)?)[xX×](?![\w])",
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
    rule(rf"{_NUMBER}\s?({_CHINESE_UNITS})(?![\w/²³°])", _chinese_unit, "时速60km/h", "时速六十公里每小时"),
    rule(r"(?<=[^\x00-\x7f])×(?=[^\x00-\x7f])", lambda _: "乘", "长×宽", "长乘宽"),
    rule(r"(\d+(?:\.\d+)?)\s?[*x×X](?=\s?\d)", _product, "1920×1080", "1920乘1080"),
    rule(r"(?<![\w.])(\d+(?:\.\d+)?)‰", lambda found: f"千分之{chinese.decimal_words(found[1])}", "3‰", "千分之三"),
)
