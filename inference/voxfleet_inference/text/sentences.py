"""Splits a text into sentences to be spoken one after the other, for Chinese, English and mixtures.

Knows: where sentences end, what only looks like an end (decimal points, abbreviations, initials, addresses), and how
long a sentence may get before it is cut at a comma, a space or, at last, anywhere.
Does not know: tokens, models or seconds. Nothing but white space is lost: the sentences, joined, are the text.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

_CLOSERS: Final = "\"'”’»」』）)]】》〉"
_END_RUN: Final = re.compile(rf"[.!?。！？…]+[{re.escape(_CLOSERS)}]*")
_ALWAYS_ENDS: Final = frozenset("。！？")
_SOFT_BREAK: Final = re.compile(r"[,;:，、；：—]+\s*")
_WIDE: Final = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60]")
_ABBREVIATIONS: Final = frozenset(
    """
    mr mrs ms dr prof sr jr st mt vs etc e.g i.e cf fig figs no nos vol pp ed eds al approx dept est
    inc ltd co corp gen col sgt capt lt cmdr rev hon gov sen rep jan feb mar apr jun jul aug sep
    sept oct nov dec mon tue wed thu fri sat sun a.m p.m u.s u.k u.n e.u ph.d m.d b.a m.a d.c ave
    blvd rd
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_OFTEN_LAST: Final = frozenset("etc a.m p.m u.s u.k u.n e.u ph.d m.d b.a m.a d.c inc ltd co corp jr sr".split())  # noqa: SIM905
_WORD_BEFORE: Final = re.compile(r"[^\s\"'“‘(（\[「『]+$")

WIDE_WEIGHT: Final = 3  # a Chinese character is spoken about as long as three Latin letters
MAX_WEIGHT: Final = 300
MIN_WEIGHT: Final = 12


class End(enum.Enum):
    """What stands behind a sentence, which decides how long a reader pauses."""

    CLAUSE = "clause"  # its other half: it was too long for one breath
    SENTENCE = "sentence"
    LINE = "line"
    PARAGRAPH = "paragraph"  # an empty line


@dataclass(frozen=True, slots=True)
class TextSentence:
    """What is spoken in one breath, and what stands behind it."""

    text: str
    end: End = End.SENTENCE


def split(text: str, max_weight: int = MAX_WEIGHT, min_weight: int = MIN_WEIGHT) -> tuple[TextSentence, ...]:
    """The sentences of a text, none heavier than `max_weight`; short ones join their neighbour of the same line."""
    sentences: list[TextSentence] = []
    for line in text.splitlines():
        if not line.strip():
            sentences[-1:] = [replace(last, end=End.PARAGRAPH) for last in sentences[-1:]]
        pieces = [piece for sentence in _by_end_marks(line) for piece in _cut(sentence, max_weight)]
        sentences += _ended(_join_short(pieces, min_weight, max_weight))
    return tuple(sentences)


def weight(text: str) -> int:
    """How much there is to speak: one per character, three per wide one."""
    return len(text) + (WIDE_WEIGHT - 1) * len(_WIDE.findall(text))


def _ended(pieces: list[TextSentence]) -> list[TextSentence]:
    """The last piece of a line ends with the line."""
    return [*pieces[:-1], *(replace(last, end=End.LINE) for last in pieces[-1:])]


def _by_end_marks(line: str) -> Iterator[str]:
    start = 0
    for run in _END_RUN.finditer(line):
        if _ends_sentence(line, run):
            yield from _present(line[start : run.end()])
            start = run.end()
    yield from _present(line[start:])


def _ends_sentence(line: str, run: re.Match[str]) -> bool:
    marks, rest = run.group().rstrip(_CLOSERS), line[run.end() :]
    if _ALWAYS_ENDS & set(marks):
        return True
    if not rest.strip():
        return True
    if not rest[0].isspace() and not _WIDE.match(rest):
        return False  # 3.14, example.com, e.g.this
    if "..." in marks or "…" in marks:
        return _starts_anew(rest)
    return marks != "." or not _is_abbreviation(line[: run.start()], rest)


def _is_abbreviation(before: str, rest: str) -> bool:
    word = _WORD_BEFORE.search(before)
    if word is None:
        return False
    plain = word.group().lower()
    if plain in _OFTEN_LAST:
        return not _starts_anew(rest)
    is_initial = len(plain) == 1 and word.group().isalpha() and word.group().isupper() and word.group() != "I"
    is_list_number = plain.isdigit() and not before[: word.start()].strip()
    return plain in _ABBREVIATIONS or is_initial or is_list_number


def _starts_anew(rest: str) -> bool:
    first = rest.lstrip().lstrip("\"'“‘(（「『")[:1]
    return not first.islower()


def _cut(sentence: str, max_weight: int) -> Iterator[TextSentence]:
    """Cut what is too heavy: at a soft mark, else at a space, else between characters."""
    rest = sentence
    while weight(rest) > max_weight:
        fitting = _fitting_length(rest, max_weight)
        at = _last_soft_break(rest, fitting) or rest.rfind(" ", 1, fitting + 1)
        at = at if at > 0 else fitting
        yield from (TextSentence(piece, End.CLAUSE) for piece in _present(rest[:at]))
        rest = rest[at:].lstrip()
    yield from map(TextSentence, _present(rest))


def _fitting_length(text: str, max_weight: int) -> int:
    total = 0
    for index, character in enumerate(text):
        total += weight(character)
        if total > max_weight:
            return max(1, index)
    return len(text)


def _last_soft_break(text: str, fitting: int) -> int:
    """The end of the last soft mark in the second half of what fits; 0 when there is none."""
    ends = [found.end() for found in _SOFT_BREAK.finditer(text, 0, fitting) if not _is_inside_number(text, found)]
    return next((end for end in reversed(ends) if end > fitting // 2), 0)


def _is_inside_number(text: str, found: re.Match[str]) -> bool:
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    return before.isdigit() and after.isdigit() and found.group() in {",", ":"}


def _join_short(pieces: list[TextSentence], min_weight: int, max_weight: int) -> list[TextSentence]:
    joined: list[TextSentence] = []
    for piece in pieces:
        last = joined[-1].text if joined else ""
        together = f"{last}{_gap(last, piece.text)}{piece.text}"
        is_short = joined and min(weight(last), weight(piece.text)) < min_weight
        if is_short and weight(together) <= max_weight:
            joined[-1] = TextSentence(together, piece.end)
        else:
            joined.append(piece)
    return joined


def _gap(left: str, right: str) -> str:
    return "" if not left or _WIDE.match(left[-1]) or left[-1] in "。！？" or _WIDE.match(right) else " "


def _present(text: str) -> Iterator[str]:
    stripped = text.strip()
    if stripped:
        yield stripped
