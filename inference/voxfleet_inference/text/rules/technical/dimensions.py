"""Sizes: so much by so much, feet and inches with marks or words."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import english
from voxfleet_inference.text.rule import rule

_NUMBER: Final = r"(?<![\w.,–—~-])(?:(\d[\d,]*(?:\.\d+)?)\s?[-–—~～]\s?)?([-−]?\d[\d,]*(?:\.\d+)?)"  # or a range of two
_QUOTED: Final = 300  # characters of a quotation
_OPENING: Final = re.compile(r'(?<![^\s(])"(?=\S)')
_CLOSING: Final = re.compile(r'(?<=[^\s\d(])"')
_CLOSED_LATER: Final = re.compile(r'[^"]{0,300}[^\s"(]"|"')
_THING: Final = re.compile(
    r" (?!(?:wide|tall|long|high|deep|thick|across|by|is|are|was|of|in|on|at|to|and|or"
    r"|for|per|from|with|likely|possible)\b)"
    r"[A-Za-z\d]"
)


def _several(words: str) -> str:
    if words.endswith("y"):
        return words.removesuffix("y") + "ies"
    return words + ("es" if words.endswith("x") else "s")


def _inches(found: re.Match[str]) -> str:
    """Return a number of inches; a mark that closes a quotation stays."""
    first, last = found.groups()
    before = found.string[max(0, found.start() - _QUOTED) : found.start()]
    is_quoted = found[0].endswith('"') and len(_OPENING.findall(before)) > len(_CLOSING.findall(before))
    if is_quoted and not _CLOSED_LATER.match(found.string, found.end()):
        return found[0]
    span = f"{english.decimal_words(first)} to " if first else ""
    is_adjective = last == "1" or _THING.match(found.string, found.end())
    return f"{span}{english.decimal_words(last)} {'inch' if is_adjective else 'inches'}"


def _feet_inches(found: re.Match[str]) -> str:
    return f"{english.number_words(found[1])} foot {english.number_words(found[2])}"


ENGLISH: Final = (
    rule(
        r"(?<![\w.,-])(\d+(?:\.\d+)?)-in(?= [a-z])",
        lambda found: f"{english.decimal_words(found[1])} inch",
        "a 12-in pan",
        "a twelve inch pan",
    ),
    rule(
        r"(?<![\w.])(\d)\s?[x×](\d{1,2})s\b",
        lambda found: f"{english.number_words(found[1])} by {_several(english.number_words(found[2]))}",
        "two 2x4s",
        "two two by fours",
    ),
    rule(
        r"(\d(?:\s?(?:m|cm|mm|ft|in|[\"'′″]))?)\s?[x×]\s?(?=\d)(?!\d+\s?=)",
        lambda found: f"{found[1]} by ",
        "1920x1080",
        "1920 by 1080",
    ),
    rule(
        r"(?<![\w.])(\d)(?:'|′|’|\s?ft\.?\s)(\d{1,2})(?:\"|″|”|''|\s?in\b\.?)",
        _feet_inches,
        "5'11\"",
        "five foot eleven",
    ),
    rule(
        r"(?<![\w.])(\d+(?:\.\d+)?)['′](?=\s?[x×]\s?\d| by \d)|(?<=by )(\d+(?:\.\d+)?)['′]",
        lambda found: f"{english.decimal_words(found[1] or found[2])} feet",
        "12' by 10'",
        "twelve feet by ten feet",
    ),
    rule(
        r"(?<![\w.])(\d+(?:\.\d+)?)['′](?= (?:wide|tall|long|high|deep|ladder|fence|ceilings?|boards?)\b)",
        lambda found: f"{english.decimal_words(found[1])} foot",
        "an 8' ladder",
        "an eight foot ladder",
    ),
    rule(
        r"(?<![\w.–—-])(?:(\d+(?:\.\d+)?)\s?[-–—]\s?)?([-−]?\d+(?:\.\d+)?)(?:\"|″)(?!\w)",
        _inches,
        '27" screen',
        "twenty-seven inch screen",
    ),
    rule(
        rf"{_NUMBER}()\s?in(?:\.(?!\w)|"
        r"(?= (?:tall|wide|long|deep|high|thick|by|apart|across|taller|longer|wider|deeper|thicker|in diameter)\b))",
        lambda found: (
            f"{english.decimal_words(found[1]) + ' to ' if found[1] else ''}{english.decimal_words(found[2])} inches"
        ),
        "2-3 in. of rain",
        "two to three inches of rain",
    ),
)
CHINESE: Final = (
    rule(r"(?<=[^\x00-\x7f])×(?=[^\x00-\x7f])", lambda _: "乘", "长×宽", "长乘宽"),
    rule(r"(?<=\d)\s?[*x×X](?=\s?\d)", lambda _: "乘", "1920×1080", "1920乘1080"),
)
