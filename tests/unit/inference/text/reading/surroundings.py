"""Texts of the corpus in other surroundings, where their readings should not change.

Run as a program, it prints what changes, in all surroundings of all texts, and the counts of each.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from reading_cases import FILES, Case, cases, is_right, spoken, words_of
from voxfleet_inference.text.reading import readings

_CHINESE: Final = "[一-鿿]"
_AT_NUMBER: Final = re.compile(rf"(?<={_CHINESE})(?=[A-Za-z0-9￥¥$€£])|(?<=[A-Za-z0-9%℃])(?={_CHINESE})")
_WIDE_SIGNS: Final = str.maketrans("%:/~+=&", "％：／～＋＝＆")
_WIDE_DIGITS: Final = str.maketrans("0123456789", "０１２３４５６７８９")
_SYNTAX: Final = frozenset({"ssml", "pauses", "markdown", "markup"})
_ADDRESS: Final = re.compile(r"[A-Za-z]/|://")
# Texts without words take their language from punctuation; the others name what they need.
EXCEPTIONS: Final = MappingProxyType(
    {
        "+86 13912345678": "no words: Chinese punctuation makes it Chinese",
        "24÷4×2=12": "no words: Chinese punctuation makes it Chinese",
        "**TL;DR:** Use HTTPS, *not* HTTP. ✅": "bold inside bold is no Markdown",
        "**Answer:** ≈ 42 km/h (about 26 mph) 🚴": "bold inside bold is no Markdown",
        'He said "I have 5" and left.': "straight quotes inside straight quotes do not say which closes",
        "周五的all-hands改到3:30 pm PST。": "mostly English: only a number that touches Chinese is Chinese",
        "B2B平台支持5G、H.264和MP4。": "a full stop before a full-width digit is an end unless a digit is before it",
    }
)


def _quoted(case: Case) -> str:
    return f"“{case.text}”" if case.language == "zh" else f'"{case.text}"'


def _in_parentheses(case: Case) -> str:
    return f"（{case.text}）" if case.language == "zh" else f"({case.text})"


def _ended(mark: str, chinese_mark: str) -> Callable[[Case], str]:
    def with_mark(case: Case) -> str:
        return case.text if not _ends_open(case) else case.text + (chinese_mark if case.language == "zh" else mark)

    return with_mark


def _ends_open(case: Case) -> bool:
    return case.text[-1] not in ".!?。！？…:：;；,，"


def _chinese(changed: Callable[[str], str]) -> Callable[[Case], str]:
    return lambda case: changed(case.text) if case.language == "zh" else case.text


SURROUNDINGS: Final[MappingProxyType[str, Callable[[Case], str]]] = MappingProxyType(
    {
        "spaces around": lambda case: f"  {case.text} ",
        "no-break spaces": lambda case: case.text.replace(" ", "\N{NO-BREAK SPACE}"),
        "quotes": _quoted,
        "single quotes": lambda case: f"‘{case.text}’",
        "corner brackets": lambda case: f"「{case.text}」",
        "parentheses": _in_parentheses,
        "ASCII parentheses": lambda case: f"({case.text})",
        "list item": lambda case: f"- {case.text}",
        "bold": lambda case: f"**{case.text}**",
        "full stop": _ended(".", "。"),
        "exclamation mark": _ended("!", "！"),
        "comma": _ended(",", "，"),
        "no end mark": lambda case: case.text[:-1] if case.text[-1] in "!?。！？" else case.text,
        "full-width digits": _chinese(lambda text: text.translate(_WIDE_DIGITS)),
        "full-width signs": _chinese(lambda text: text if _ADDRESS.search(text) else text.translate(_WIDE_SIGNS)),
        "spaces at numbers": _chinese(lambda text: _AT_NUMBER.sub(" ", text)),
        "space before %": lambda case: re.sub(r"(?<=\d)%", " %", case.text),
        "space before degrees": lambda case: re.sub(r"(?<=\d)(?=℃|°C|°F)", " ", case.text),
        "space after a sign of money": lambda case: re.sub(r"([$€£¥￥])(?=\d)", r"\1 ", case.text),
        "spaces around a dash": lambda case: re.sub(r"(?<=\d)([–—~])(?=\d)", r" \1 ", case.text),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """A text that is read in another way in its surroundings."""

    surroundings: str
    text: str
    read: str
    expected: str


def changes(share: int = 1) -> Iterator[Change | str]:
    """Yield the name of each surroundings of each text, or what has changed; of `share` surroundings one."""
    for index, case in enumerate(_single_sentences()):
        expected = words_of(spoken(case.text))
        for number, (name, surrounded) in enumerate(SURROUNDINGS.items()):
            text = surrounded(case)
            if text == case.text or (index + number) % share:
                continue
            read = words_of(spoken(text))
            yield name if read == expected else Change(name, case.text, read, expected)


def _single_sentences() -> Iterator[Case]:
    for case in (each for file in FILES for each in cases(file)):
        is_plain = case.kind not in _SYNTAX and "\n" not in case.text and "$$" not in case.text
        if is_plain and is_right(case) and len(readings(case.text)) == 1:
            yield case


def main() -> None:
    changed, same = Counter[str](), Counter[str]()
    for each in changes():
        if isinstance(each, str):
            same[each] += 1
            continue
        changed[each.surroundings] += 1
        sys.stdout.write(f"{each.surroundings}: {each.text!r}\n  {each.read}\n  {each.expected}\n")
    for name in SURROUNDINGS:
        sys.stdout.write(f"{name:28}{same[name] + changed[name]:>6} texts{changed[name]:>5} changed\n")


if __name__ == "__main__":
    main()
