"""Formulas: comparisons, powers, roots, fractions of letters, Greek letters, signs before numbers."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_GREEK: Final = "αβγδεθλμπρσφωΔΣΩ"
_ENGLISH_GREEK: Final = dict(
    zip(
        _GREEK,
        "alpha beta gamma delta epsilon theta lambda mu pi rho sigma phi omega delta sigma omega".split(),  # noqa: SIM905
        strict=True,
    )
)
_CHINESE_GREEK: Final = dict(
    zip(
        _GREEK,
        "阿尔法 贝塔 伽马 德尔塔 艾普西龙 西塔 兰姆达 缪 派 柔 西格玛 斐 欧米伽 德尔塔 西格玛 欧米伽".split(),  # noqa: SIM905
        strict=True,
    )
)
_GREEK_LETTER: Final = rf"(?<![α-ωΑ-Ω])(?!μ(?:g|m|s|L|l|A|V|mol)(?![A-Za-z]))[{_GREEK}](?![α-ωΑ-Ω])"
_OPERAND: Final = r"(\((?:[^()\n]|\([^()\n]{1,60}\)){1,80}\)|[A-Za-z\d.²³α-ω]{1,20})"  # or in parentheses
_LEFT: Final = r"(?:(?<=[\d)²³%°πα-ω])|(?<=(?<![A-Za-z])[A-Za-z]))\s?"  # a number or a single letter
_RIGHT: Final = r"\s?(?=[-−+√(]?(?:\d|[A-Za-z](?![A-Za-z])|[πα-ω]|\())"
_ENGLISH_COMPARISONS: Final = {
    "<=": "is less than or equal to",
    "≤": "is less than or equal to",
    ">=": "is greater than or equal to",
    "≥": "is greater than or equal to",
    "!=": "is not equal to",
    "≠": "is not equal to",
    "<": "is less than",
    ">": "is greater than",
    "≈": "is about",
    "==": "equals",
    "=": "equals",
    "÷": "divided by",
    "∗": "times",
    "·": "times",
}
_CHINESE_COMPARISONS: Final = {
    "!=": "不等于",
    "≠": "不等于",
    "<": "小于",
    ">": "大于",
    "<=": "小于等于",
    "≤": "小于等于",
    ">=": "大于等于",
    "≥": "大于等于",
    "≈": "约等于",
    "==": "等于",
    "÷": "除以",
    "∗": "乘",
    "·": "乘",
}
_POWERS: Final = {"2": "squared", "3": "cubed"}
_CALCULATED: Final = r"(?=[^.!?。！？\n]{0,60}[=<>≤≥≈])"  # a comparison follows


def _one_of(signs: dict[str, str]) -> str:
    return "|".join(re.escape(each) for each in sorted(signs, key=len, reverse=True))


def _inner(operand: str) -> str:
    return operand[1:-1] if operand.startswith("(") else operand


def _english_power(found: re.Match[str]) -> str:
    exponent = _inner(found[1])
    if exponent in _POWERS:
        return f" {_POWERS[exponent]} "
    return f" to the power of {english.decimal_words(exponent) if exponent.lstrip('-−').isdigit() else exponent} "


def _chinese_power(found: re.Match[str]) -> str:
    exponent = _inner(found[1])
    if exponent in _POWERS:
        return "的平方" if exponent == "2" else "的立方"
    return f"的{chinese.decimal_words(exponent) if exponent.lstrip('-−').isdigit() else exponent}次方"


_EXPONENT: Final = r"\s?\^\s?(\([^()\n]{1,40}\)|[-−]?\d{1,4}|[A-Za-z](?![A-Za-z]))"
_ALONE: Final = r"(?:^|(?<=[\s(（，：\"“‘'「『])(?<![\d)] ))"  # before a sign that belongs to one number

ENGLISH: Final = (
    # Operators look for the comparison that follows, comparisons for operands as they are typed: the order matters.
    rule(r"\s?(?:\+/[-−]|±)\s?(?=[\w(√])", lambda _: " plus or minus ", "x ± 5", "x plus or minus 5"),
    rule(r"(?<=[\dk ]N)·m\b", lambda _: "m", "350 N·m", "350 Nm"),
    rule(r"(?<=[\dxyz])\s?[-−]\s?(?=\d[\d.,]{0,20}\s?=)", lambda _: " minus ", "10-5=5", "10 minus 5=5"),
    rule(
        rf"(?<=[\w)]) [-−] (?=[\w(]){_CALCULATED}|(?<=(?<![A-Za-z])[a-z]\d) [-−] (?=[a-z]?\d)",
        lambda _: " minus ",
        "x - 3 = 4",
        "x minus 3 = 4",
    ),
    rule(r"\s?−\s?(?=[\w(√∛])", lambda _: " minus ", "a − b", "a minus b"),
    rule(r"(?<=\w) \*\* (?=[\w(])", lambda _: " to the power of ", "x ** 2", "x to the power of 2"),
    rule(
        rf"(?<=[\w)²³])\s?\+\s?(?=[\w(√])(?<!\+\+){_CALCULATED}|(?<=\^[\dA-Za-z])\s?\+\s?(?=[\w(√])",
        lambda _: " plus ",
        "a + b = c",
        "a plus b = c",
    ),
    rule(
        r"(?<=[\w)])\s?×\s?(?=10\^)|(?<=\d)\s?×\s?(?=\d+\s?=)|(?<=\d) \* (?=\d)",
        lambda _: " times ",
        "3 × 4 = 12",
        "3 times 4 = 12",
    ),
    rule(  # a number with its letter is part of a formula, without a comparison too
        r"(?<![\w.$€£])(\d{1,4})([abcnmxyz]) ?([-−+]) ?(?=\d{1,4}[abcnxyz]?(?![\w.%])|[abcnxyz]\b)",
        lambda found: f"{english.number_words(found[1])} {found[2]} {'plus' if found[3] == '+' else 'minus'} ",
        "the line 2x + 1",
        "the line two x plus 1",
    ),
    rule(r"(?<=\))\s?/\s?(?=\()", lambda _: " over ", "(a)/(b)", "(a) over (b)"),
    rule(
        rf"{_LEFT}({_one_of(_ENGLISH_COMPARISONS)}){_RIGHT}",
        lambda found: f" {_ENGLISH_COMPARISONS[found[1]]} ",
        "5 < 7",
        "5 is less than 7",
    ),
    rule(r"(?:>=|≥)\s?(?=\d)", lambda _: "at least ", "need ≥ 8 GB", "need at least 8 GB"),
    rule(r"(?:<=|≤)\s?(?=\d)", lambda _: "at most ", "keep ≤ 5", "keep at most 5"),
    rule(r"(?<=\w)\s?==?\s?(?=[-−\w(√])", lambda _: " equals ", "theta = 30", "theta equals 30"),
    rule(
        r"(?<![\w.$€£])(\d{1,4})([a-z])(?=\s?[+=<>^²³]| (?:plus|minus|equals)\b)",
        lambda found: f"{english.number_words(found[1])} {found[2]}",
        "2x = 6",
        "two x = 6",
    ),
    rule(r"(?<=equals )[-−](?=[\da-z])|(?<== )[-−](?=\d)", lambda _: "minus ", "x = -3", "x = minus 3"),
    rule(r"(?<=[\dA-Za-z)²³α-ω])" + _EXPONENT, _english_power, "10^8", "10 to the power of eight "),
    rule(r"(?<=\b[a-zA-Z])(?<!\d [a-zA-Z])²(?!\w)|(?<=\))²", lambda _: " squared ", "(a)²", "(a) squared "),
    rule(
        _OPERAND + r"\s?⁄\s?" + _OPERAND,
        lambda found: f"{_inner(found[1])} over {_inner(found[2])}",
        "(a+b)⁄2",
        "a+b over 2",
    ),
    rule(r"∛\s?(?=[\w(])", lambda _: "the cube root of ", "∛8", "the cube root of 8"),
    rule(r"√\s?(?=[\w(π])", lambda _: "the square root of ", "√16", "the square root of 16"),
    rule(r"∑\s?", lambda _: "the sum of ", "∑ x", "the sum of x"),
    rule(r"∫\s?", lambda _: "the integral of ", "∫ x", "the integral of x"),
    rule(r"∞", lambda _: "infinity", "∞", "infinity"),
    rule(_ALONE + r"\+(?=\d)", lambda _: "plus ", "up +2.3%", "up plus 2.3%"),
    rule(_ALONE + r"[-−](?=\d)", lambda _: "minus ", "(-1.2%)", "(minus 1.2%)"),
    rule(_GREEK_LETTER, lambda found: f" {_ENGLISH_GREEK[found[0]]} ", "2πr", "2 pi r"),
)
CHINESE: Final = (
    rule(r"(?<=[\dk ]N)·m(?![A-Za-z])", lambda _: "m", "350N·m", "350Nm"),
    rule(r"\s?(?:\+/[-−]|±)\s?(?=[\w(√])", lambda _: "正负", "x±5", "x正负5"),
    rule(r"(?<=[\dA-Za-z)）α-ω])" + _EXPONENT, _chinese_power, "10^8", "10的八次方"),
    rule(
        _OPERAND + r"\s?⁄\s?" + _OPERAND,
        lambda found: f"{_inner(found[2])}分之{_inner(found[1])}",
        "(a+b)⁄2",
        "2分之a+b",
    ),
    rule(r"(?<=[\w)方²³])\s?−\s?(?=[\w(√∛])", lambda _: "减", "a−b", "a减b"),
    rule(r"(?<=[方²³])\s?-\s?(?=\d[\d.]{0,20}\s?[=+-])", lambda _: "减", "x²-1=3", "x²减1=3"),
    rule(r"(?<![\w)方])−(?=[A-Za-z(√∛])", lambda _: "负", "−b", "负b"),
    rule(r"∛\s?(?=[\w(])", lambda _: "三次根号", "∛8", "三次根号8"),
    rule(r"√\s?(?=[\w(π])", lambda _: "根号", "√16", "根号16"),
    rule(r"∑\s?", lambda _: "求和", "∑ x", "求和x"),
    rule(r"∞", lambda _: "无穷大", "∞", "无穷大"),
    rule(
        rf"(?:{_LEFT}|(?<=[方]))({_one_of(_CHINESE_COMPARISONS)}){_RIGHT}",
        lambda found: _CHINESE_COMPARISONS[found[1]],
        "x>3",
        "x大于3",
    ),
    rule(r"(?<=[\dA-Za-z)）方])(?<!\+)\s?\+\s?(?=[\dA-Za-z(（√])", lambda _: "加", "UTC+8", "UTC加8"),
    rule(
        rf"(?:{_ALONE}|(?<=[^\x00-\x7f]))\+(\d+(?:\.\d+)?)%",
        lambda found: f"正百分之{chinese.decimal_words(found[1])}",
        "(+2.3%)",
        "(正百分之二点三)",
    ),
    rule(_GREEK_LETTER, lambda found: _CHINESE_GREEK[found[0]], "πr", "派r"),
)
