"""Versions of programs: numbers with more than one point, or after a v."""

from __future__ import annotations

import re
from typing import Final

from voxfleet_inference.text.numbers import chinese, english
from voxfleet_inference.text.rule import rule

_PRODUCTS: Final = (
    r"(?:Python|Java|Node|CUDA|Go|Ubuntu|Android|iOS|macOS|Windows|Chrome|Firefox"
    r"|Qt|PyTorch|Rust|[Vv]ersion|HTTP/|TLS|USB|Bluetooth|Wi-Fi|GPT-|PHP)"
)


def _english_version(found: re.Match[str]) -> str:
    before = "version " if found[1] else ""
    return before + " point ".join(english.number_words(each) for each in found[2].split("."))


def _chinese_version(found: re.Match[str]) -> str:
    before = "V" if found[1] else ""
    return before + "点".join(chinese.number_words(each) for each in found[2].split("."))


def _english_product(found: re.Match[str]) -> str:
    separator = " " if found[1][-1] in "/-" else ""
    return f"{found[1].rstrip('/-')}{separator}" + " point ".join(
        english.number_words(each) for each in found[2].split(".")
    )


ENGLISH: Final = (
    rule(
        rf"\b({_PRODUCTS} ?)(\d+(?:\.\d+)+)(?![\w%])",
        _english_product,
        "Python 3.11",
        "Python three point eleven",
    ),
    rule(r"(?<![\w.])([vV]\.? ?)(\d+(?:\.\d+)*)(?![\w%])", _english_version, "v2.0", "version two point zero"),
    rule(r"(?<![\w.,$€£])()(\d+(?:\.\d+){2,})(?!\w|\.\d)", _english_version, "2.3.1", "two point three point one"),
)
CHINESE: Final = (
    rule(r"(?<![\w.])([vV]\.? ?)(\d+(?:\.\d+)*)(?![\w%])", _chinese_version, "v2.0", "V二点零"),
    rule(r"(?<![\w.,￥¥$])()(\d+(?:\.\d+){2,})(?!\w|\.\d)", _chinese_version, "2.3.1", "二点三点一"),
)
