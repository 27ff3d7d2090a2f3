"""Where a sentence ends inside a line, and what only looks like an end.

Knows: end marks of Chinese and English, closing quotes, abbreviations, initials, numbers, addresses and list numbers.
Looks only a few words around a mark, so a line of any length takes time in proportion to it.
Does not know: lines, lengths or what is done with sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

QUOTES: Final = "\"'”’»」』"
CLOSERS: Final = QUOTES + "）)]】》〉*_"
OPENERS: Final = "\"'“‘«「『（([【《〈*_"
WIDE: Final = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff]")
_WIDE_ENDS: Final = frozenset("。！？｡")
_MARKS: Final = ".!?。！？…．｡‼⁇⁈⁉"
_END_RUN: Final = re.compile(rf"(?:(?:\.\ ){{2,}}\.|[{_MARKS}])+[{re.escape(CLOSERS)}]*")
_LOOK: Final = 48  # characters looked at before and after a mark
_WORD_BEFORE: Final = re.compile(r"[^\s\"'“‘(（\[「『,;:，；：、。！？\u2e80-\u9fff]+$")
_WORD_AFTER: Final = re.compile(r"[A-Za-z][A-Za-z’']*")
_LETTERS_WITH_DOTS: Final = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_LIST_NUMBER: Final = re.compile(
    rf"[{re.escape(OPENERS)}\s#>+-]*(?:\d{{1,4}}(?:\.\d{{1,3}})*|[A-Za-z]|[ivxIVX]{{1,5}})$"
)

# Never the last word of a sentence when something follows.
_NEVER_LAST: Final = frozenset(
    "mr mrs ms dr prof vs e.g i.e cf viz approx dept messrs mme mlle monsig ca resp incl excl".split()  # noqa: SIM905
)
# Titles and names of places: not the last word when written with a capital and a name follows.
_BEFORE_NAMES: Final = frozenset(
    "st mt ft gen col sgt capt lt cmdr adm maj cpl pvt rev hon gov sen rep pres supt fr sr jr br".split()  # noqa: SIM905
)
# Not the last word when a number follows.
_BEFORE_NUMBERS: Final = frozenset(
    """
    no nos vol vols p pp fig figs eq eqs ch chap sec sect art par ed eds op tab ref refs col ln ver v
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
    """.split()  # noqa: SIM905
)
# The last word as often as not: the next word decides.
_MAYBE_LAST: Final = frozenset("inc ltd co corp bros al est ave blvd rd ph.d m.d b.a m.a d.c u.s u.k u.n e.u".split())  # noqa: SIM905
_TIMES: Final = frozenset({"a.m", "p.m", "etc", "b.c", "a.d"})
_STARTERS: Final = frozenset(
    """
    a after all although an and another are as at because before both but by can could did do does during each even
    every everybody everyone everything finally first for from had has have he hence her here his how however i if in
    indeed instead is it its just later let many maybe meanwhile more most my neither never nobody no none nor not
    nothing now of often on once one only or our out perhaps she should since so some somebody someone something soon
    still suddenly than that the their them then there therefore these they this those though thus to today together
    too under until was we were what when where whether which while who whose why will with without would yes yet you
    your
    """.split()  # noqa: SIM905
)


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences between two places of a text, as places; what lies between them is white space."""
    begun, straight_quotes, counted_to = start, 0, start
    for run in _END_RUN.finditer(text, start, end):
        straight_quotes += text.count('"', counted_to, run.start())
        counted_to = run.start()
        closes = run.end() - _opening_quotes(run.group(), straight_quotes)
        if _ends(text, begun, run, closes, end):
            yield begun, closes
            begun, straight_quotes, counted_to = closes, 0, closes
    if text[begun:end].strip():
        yield begun, end


def _opening_quotes(run: str, straight_quotes_before: int) -> int:
    """How many characters at the end of a run belong to the next sentence: a straight quote that opens."""
    return int(run.endswith('"') and (straight_quotes_before + run.count('"')) % 2 == 1)


def _ends(text: str, begun: int, run: re.Match[str], closes: int, end: int) -> bool:
    marks = run.group().rstrip(CLOSERS)
    rest = text[closes : min(end, closes + _LOOK)]
    if not rest.strip():
        return True
    if _WIDE_ENDS & set(marks):
        return True
    before = text[max(begun, run.start() - _LOOK) : run.start()]
    if not rest[0].isspace():
        return bool(WIDE.match(rest)) and _ends_before_wide(before, marks)
    is_closed = closes > run.start() + len(marks)
    if is_closed and _starts_small(rest):
        return False  # "Stop!" he cried.
    if marks == ".":
        is_number = len(before) < _LOOK and _LIST_NUMBER.match(before) is not None
        return not is_number and not _is_abbreviation(before, rest)
    return not (_is_ellipsis(marks) and _starts_small(rest))


def _ends_before_wide(before: str, marks: str) -> bool:
    """A Latin mark with Chinese right behind it: U.S.公司, Mr.王 and 1.首先 go on."""
    if marks != ".":
        return not (_is_ellipsis(marks) and not before.strip())
    word = _WORD_BEFORE.search(before)
    plain = word.group().lower() if word is not None else ""
    is_list_number = len(before) < _LOOK and _LIST_NUMBER.match(before) is not None
    is_dotted = _LETTERS_WITH_DOTS.fullmatch(plain) is not None
    return not (is_list_number or is_dotted or plain in _NEVER_LAST | _BEFORE_NAMES | _MAYBE_LAST)


def _is_ellipsis(marks: str) -> bool:
    return "…" in marks or marks.count(".") > 1


def _is_abbreviation(before: str, rest: str) -> bool:
    """Whether the period belongs to the word before it, and the sentence goes on."""
    word = _WORD_BEFORE.search(before)
    written = word.group() if word is not None else ""
    plain, following = written.lower(), rest.lstrip().lstrip(OPENERS)
    if plain in _TIMES:
        return _starts_small(rest)
    if plain in _BEFORE_NUMBERS and following[:1].isdigit():
        return True
    return plain in _NEVER_LAST or (_may_go_on(written, plain) and not _starts_with_starter(following))


def _may_go_on(written: str, plain: str) -> bool:
    """Whether the next word decides: after initials, titles and the like."""
    is_initial = len(written) == 1 and written.isupper() and written.isascii() and written != "I"
    is_title = plain in _BEFORE_NAMES and written[0].isupper()
    return is_initial or is_title or plain in _MAYBE_LAST or _LETTERS_WITH_DOTS.fullmatch(plain) is not None


def _starts_with_starter(following: str) -> bool:
    """Whether the next word is one that sentences begin with, written with a capital."""
    word = _WORD_AFTER.match(following)
    return word is not None and word.group()[0].isupper() and word.group().lower() in _STARTERS


def _starts_small(rest: str) -> bool:
    return rest.lstrip().lstrip(OPENERS)[:1].islower()
