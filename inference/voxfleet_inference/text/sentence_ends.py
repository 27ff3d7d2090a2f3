"""Sentence boundary detection inside a line, for Chinese, English and mixtures.

Knows: end marks, closing quotes, abbreviations, initials, numbers, addresses and list numbers. Reads a few words around
each mark, so that time is linear in the length of a line.
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
_POINTS: Final = frozenset(".．")
_MARKS: Final = ".!?。！？…．｡‼⁇⁈⁉"
_END_RUN: Final = re.compile(rf"(?:(?:\.\ ){{2,}}\.|[{_MARKS}])+[{re.escape(CLOSERS)}]*")
_LOOK: Final = 48  # characters read before and after a mark
_WORD_BEFORE: Final = re.compile(r"[^\s\"'“‘(（\[「『,;:–—，；：、。！？\u2e80-\u9fff]+$")
_WORD_AFTER: Final = re.compile(r"[A-Za-z][A-Za-z’']*")
_LETTERS_WITH_DOTS: Final = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_LIST_NUMBER: Final = re.compile(
    rf"[{re.escape(OPENERS)}\s#>+-]*(?:\d{{1,4}}(?:\.\d{{1,3}})*|[A-Za-z]|[ivxIVX]{{1,5}})$"
)

_SIGN_FIRST: Final = re.compile(r"[+&=×]\s")  # between two amounts; no sentence starts so
_NUMBER_FIRST: Final = re.compile(r"\d|[IVX]{2,5}(?![A-Za-z])")

# Abbreviations that never end a sentence when text follows.
_NEVER_LAST: Final = frozenset(
    "mr mrs ms dr prof vs e.g i.e cf viz approx dept messrs mme mlle monsig ca resp incl excl".split()  # noqa: SIM905
)
# Titles and place names: no end when capitalized, unless a word of _STARTERS follows.
_BEFORE_NAMES: Final = frozenset(
    "st mt ft gen col sgt capt lt cmdr adm maj cpl pvt rev hon gov sen rep pres supt fr sr jr br".split()  # noqa: SIM905
)
# Abbreviations before a number: no end when a digit follows.
_BEFORE_NUMBERS: Final = frozenset(
    (  # noqa: SIM905 - a list of words reads best as words
        "no nos vol vols p pp fig figs eq eqs ch chap sec sect art par ed eds op tab ref refs col"  # words: speech
        " rm pt bk ps gen matt rom cor deut prov isa heb"  # words: speech
        " ln ver v c ext bldg apt ste rte qty wt hwy para paras secs arts cl"  # words: speech
        " jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur"  # words: speech
        " thurs fri sat sun"  # words: speech
    ).split()
)
# Abbreviations that may end a sentence: it is an end if a word of _STARTERS follows.
_MAYBE_LAST: Final = frozenset("inc ltd co corp bros al est ave blvd rd ph.d m.d b.a m.a d.c u.s u.k u.n e.u".split())  # noqa: SIM905
# An end, unless a lower-case word follows.
_TIMES: Final = frozenset({"a.m", "p.m", "etc", "b.c", "a.d"})
# No end when a lower-case word follows, else as other words.
_BEFORE_SMALL: Final = frozenset(
    (  # noqa: SIM905 - a list of words reads best as words
        "tsp tsps tbsp tbsps oz lb lbs pkg pkgs lg sm c min hr hrs sec yr yrs mo wk wks ft sq cu"
        " temp dept est hosp max avg pts jan feb mar apr aug sep sept oct nov dec"  # words: speech
        " mon tue tues wed thu thur thurs fri"
    ).split()
)
# Words that begin sentences, when capitalized.
_STARTERS: Final = frozenset(
    (  # noqa: SIM905 - a list of words reads best as words
        "a after all although an and another are as at because before both but by can could did"  # words: speech
        " do does during each even every everybody everyone everything finally first for from had"  # words: speech
        " has have he hence her here his how however i if in indeed instead is it its just later"  # words: speech
        " let many maybe meanwhile more most my neither never nobody no none nor not nothing now"  # words: speech
        " of often on once one only or our out perhaps she should since so some somebody someone"  # words: speech
        " something soon still suddenly than that the their them then there therefore these they"  # words: speech
        " this those though thus to today together too under until was we were what when where"  # words: speech
        " whether which while who whose why will with without would yes yet you your"  # words: speech
    ).split()
)


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences in text[start:end] as (start, end); between them is white space alone."""
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
    """Return 1 if the run ends with a straight quote that opens the next sentence, else 0."""
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
        is_in_number = (
            rest[0].isdigit() and before[-1:].isdigit() and marks in _POINTS
        )  # full-width digits are wide too
        return bool(WIDE.match(rest)) and not is_in_number and _ends_before_wide(before, marks)
    is_closed = closes > run.start() + len(marks)
    if is_closed and _starts_small(rest):
        return False  # "Stop!" he cried.  (words: speech)
    if marks == ".":
        is_number = len(before) < _LOOK and _LIST_NUMBER.match(before) is not None
        return not is_number and not _is_abbreviation(before, rest)
    return not (_is_ellipsis(marks) and _starts_small(rest))


def _ends_before_wide(before: str, marks: str) -> bool:
    """Return whether a Latin mark directly before Chinese is an end; in U.S.公司, Mr.王 and 1.首先 it is none."""
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
    """Return whether the period belongs to the word before it and the sentence continues."""
    match = _WORD_BEFORE.search(before)
    word = match.group() if match is not None else ""
    plain, following = word.lower().rpartition("/")[2], rest.lstrip().lstrip(OPENERS)
    if _SIGN_FIRST.match(following):
        return True
    if plain in _TIMES:
        return _starts_small(rest)
    if (plain in _BEFORE_NUMBERS and _NUMBER_FIRST.match(following)) or (
        plain in _BEFORE_SMALL and _starts_small(rest)
    ):
        return True
    return plain in _NEVER_LAST or (_may_continue(word, plain) and not _starts_with_starter(following))


def _may_continue(word: str, plain: str) -> bool:
    """Return whether the next word decides: after initials, titles and abbreviations of _MAYBE_LAST."""
    is_initial = len(word) == 1 and word.isupper() and word.isascii() and word != "I"
    is_title = plain in _BEFORE_NAMES and word[0].isupper()
    return is_initial or is_title or plain in _MAYBE_LAST or _LETTERS_WITH_DOTS.fullmatch(plain) is not None


def _starts_with_starter(following: str) -> bool:
    """Return whether the next word is capitalized and in _STARTERS."""
    word = _WORD_AFTER.match(following)
    return word is not None and word.group()[0].isupper() and word.group().lower() in _STARTERS


def _starts_small(rest: str) -> bool:
    return rest.lstrip().lstrip(OPENERS)[:1].islower()
