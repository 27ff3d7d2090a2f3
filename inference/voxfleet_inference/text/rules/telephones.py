"""Telephone numbers and IP addresses, read digit by digit."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_GROUP_EDGES: Final = re.compile(r"[^\d+]+")
_IP: Final = r"(?<![\w.])(?=[\d.]{0,12}\d{3}|[\d.]{7,15}:\d|10\.)((?:\d{1,3}\.){3}\d{1,3})(?::(\d{2,5}))?(?!\w|\.\d)"
_NUMBER_TO_CALL: Final = re.compile(r"\d{3}(?:-\d{4})?")
_CARD: Final = r"(?<![\w.,-])\d{4}(?: \d{4}){2,4}(?: \d{1,4})?(?![\w.,-]|\s\d)"
_MEETING: Final = r"(?<![\w.,-])(?<!\+\d )(?<!\+\d\d )(?<!\+\d{3} )\d{3} \d{3,4} \d{4}(?![\w.,-]|\s\d)"
_CALLED: Final = (
    r"(?:电话|热线|手机号?码?|联系|拨打?|致电|传真|客服|分机号?|报警|急救|呼叫"
    r"|電話|熱線|手機號?碼?|聯絡|撥打?|傳真)(?:了|：|:|是|为|為)?\s?"
)


def _english_groups(digits: str) -> str:
    groups = [each for each in _GROUP_EDGES.split(digits) if each]
    return ", ".join(("plus " if each[0] == "+" else "") + english.spelled_digits(each) for each in groups)


def _chinese_groups(digits: str) -> str:
    groups = [each for each in _GROUP_EDGES.split(digits) if each]
    return "，".join(("加" if each[0] == "+" else "") + chinese.telephone_digits(each) for each in groups)


def _english_ip(found: re.Match[str]) -> str:
    port = f", port {english.spelled_digits(found[2])}" if found[2] else ""
    return " dot ".join(english.spelled_digits(each) for each in found[1].split(".")) + port


def _chinese_ip(found: re.Match[str]) -> str:
    port = f"，端口{chinese.spelled_digits(found[2])}" if found[2] else ""
    return "点".join(chinese.spelled_digits(each) for each in found[1].split(".")) + port


def _chinese_mobile(found: re.Match[str]) -> str:
    country = _chinese_groups(found[1]) + "，" if found[1] else ""
    return country + "，".join(chinese.telephone_digits(each) for each in found.group(2, 3, 4))


def _chinese_extension(found: re.Match[str]) -> str:
    extension = f"转{chinese.telephone_digits(found[2])}" if found[2] else ""
    return _chinese_groups(found[1]) + extension


def _chinese_digits(found: re.Match[str]) -> str:
    return found[1] + chinese.telephone_digits(found[2])


ENGLISH: Final = (
    rule(
        r"(?<=\b[Nn]umber is )[\d(][\d() -]{5,18}\d(?![\w-])|(?<=\b[Cc]all )0\d{2,4}(?: \d{3,4}){1,3}(?![\w-])",
        lambda found: _english_groups(found[0]),
        "call 0800 123 456",
        "call zero eight zero zero, one two three, four five six",
    ),
    rule(
        _CARD,
        lambda found: _english_groups(found[0]),
        "4242 0000 0001",
        "four two four two, zero zero zero zero, zero zero zero one",
    ),
    rule(
        _MEETING,
        lambda found: _english_groups(found[0]),
        "123 4567 8901",
        "one two three, four five six seven, eight nine zero one",
    ),
    rule(
        _IP,
        _english_ip,
        "10.0.0.138",
        "one zero dot zero dot zero dot one three eight",
    ),
    rule(
        r"(?<![\w.])\+\d{1,3}[ -]?\d{8,12}(?![\w,.-]\d|\w)",
        lambda found: _english_groups(found[0]),
        "+86 13912345678",
        "plus eight six, one three nine one two three four five six seven eight",
    ),
    rule(
        r"(?<![\w.])\+\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?\d{2,4}(?:[ -]\d{2,4}){1,4}(?![\w-])",
        lambda found: _english_groups(found[0]),
        "+1 555 123 4567",
        "plus one, five five five, one two three, four five six seven",
    ),
    rule(
        r"\b((?:[Tt]el(?:ephone)?|[Pp]hone|[Mm]obile|[Cc]ell|[Ff]ax)(?:\.|: |\.: ))\s?([\d(][\d() -]{5,18}\d)(?![\w-])",
        lambda found: found[1] + _english_groups(found[2]),
        "Tel: 020 7946 0018",
        "Tel: zero two zero, seven nine four six, zero zero one eight",
    ),
    rule(
        r"(?<![\w.-])(?:1-)?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])",
        lambda found: _english_groups(found[0]),
        "(555) 123-4567",
        "five five five, one two three, four five six seven",
    ),
    rule(
        r"(?<![\w.-])\b555-\d{4}\b",
        lambda found: _english_groups(found[0]),
        "555-0134",
        "five five five, zero one three four",
    ),
    rule(
        r"(?<=\b(?:[Cc]all|[Dd]ial|[Tt]ext) )(?:\d{3}-\d{4}|\d{3})(?:(?:,? (?:or|and) |, )\d{3})*"
        r"(?![\w.,-]\w|\w| [a-z]+s\b)",
        lambda found: _NUMBER_TO_CALL.sub(lambda each: _english_groups(each[0]), found[0]),
        "dial 911",
        "dial nine one one",
    ),
    rule(
        r"\b([Ee]xt)\. ?(\d+)",
        lambda found: f"extension {english.spelled_digits(found[2])}",
        "ext. 42",
        "extension four two",
    ),
)
CHINESE: Final = (
    rule(_CARD, lambda found: _chinese_groups(found[0]), "6222 0212 3456", "六二二二，零二幺二，三四五六"),
    rule(_MEETING, lambda found: _chinese_groups(found[0]), "123 4567 8901", "幺二三，四五六七，八九零幺"),
    rule(
        _IP,
        _chinese_ip,
        "192.168.1.1",
        "一九二点一六八点一点一",
    ),
    rule(
        r"(?<![\w.])(\+86[ -]?)?(1[3-9]\d)[ -]?(\d{4})[ -]?(\d{4})(?![\d.-])",
        _chinese_mobile,
        "138-1234-5678",
        "幺三八，幺二三四，五六七八",
    ),
    rule(
        r"(?<![\w.])((?:\+86[ -]?)?[(（]?0\d{1,3}[)）]?[ -]?\d{3,4}[ -]?\d{4})(?:[-转](\d{1,5}))?(?![\d.])",
        _chinese_extension,
        "010-62781234转8",
        "零幺零，六二七八幺二三四转八",
    ),
    rule(
        r"(?<![\w.])\+\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?\d{1,4}(?:[ -]\d{2,4}){1,4}(?![\w-])",
        lambda found: _chinese_groups(found[0]),
        "+86 10 6278 1234",
        "加八六，幺零，六二七八，幺二三四",
    ),
    rule(
        r"(?<![\w.])([48]00-\d{3}-?\d{4}|[48]00-\d{4}-?\d{3})(?:[-转](\d{1,5}))?(?!\d)",
        _chinese_extension,
        "400-820-8820",
        "四零零，八二零，八八二零",
    ),
    rule(
        rf"({_CALLED})(\d{{3,12}})(?![\d.,%-]|\s?[人个次元部台家万亿年月天])",
        _chinese_digits,
        "拨打110",
        "拨打幺幺零",
    ),
)
