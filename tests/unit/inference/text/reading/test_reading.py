from __future__ import annotations

from collections import Counter

import pytest
from reading_cases import FILES, cases, is_right, spoken
from voxfleet_inference.text.reading import readings

# Texts of readings.tsv that are read wrongly. One that is read right must be removed from here.
KNOWN_WRONG = {
    "You may 5 times retry.",  # wetext takes it for a date
    "主队2-1客队",  # no word says that it is a score
    "我喜欢Taylor Swift的专辑1989",  # a title or a count: the words around it do not say
    "2000年后出生",  # a year or a span: the words around it do not say
}


def test_every_text_is_read_right_but_the_known_wrong_ones() -> None:
    wrong = {case.text: spoken(case.text) for case in cases() if not is_right(case)}
    assert wrong.keys() - KNOWN_WRONG == set(), {text: wrong[text] for text in wrong.keys() - KNOWN_WRONG}
    assert KNOWN_WRONG - wrong.keys() == set(), "read right now: remove them from KNOWN_WRONG"


def test_the_texts_cover_each_kind_in_both_languages() -> None:
    found = Counter((case.kind, case.language) for case in cases())
    kinds = {kind for kind, _ in found}
    assert all(found[kind, language] >= 3 for kind in kinds for language in ("en", "zh"))
    assert len({case.text for case in cases()}) == sum(found.values()) >= 300


def test_the_rules_read_texts_that_wetext_alone_reads_wrongly() -> None:
    before = sum(is_right(case, has_rules=False) for case in cases())
    assert before < 0.6 * len(cases()), "the rules may have become superfluous"


def test_a_reading_has_its_sentence_and_the_pause_before_it() -> None:
    first, second = readings("It costs **$5**. [pause:1s] That is all.")
    assert (first.pause_seconds, first.text, first.spoken) == (0, "It costs $5.", "It costs five dollars.")
    assert (second.pause_seconds, second.text) == (1, "That is all.")


@pytest.mark.parametrize(
    ("file", "texts", "right"),
    [
        ("unseen_first", 428, 428),
        ("unseen_second", 112, 112),
        ("unseen_third", 255, 254),
        ("unseen_fourth", 94, 94),
        ("unseen_fifth", 120, 120),
    ],
)
def test_texts_written_after_the_rules_stay_as_right_as_the_status_page_says(file: str, texts: int, right: int) -> None:
    unseen = cases(file)
    others = {case.text for other in FILES if other != file for case in cases(other)}
    assert len({case.text for case in unseen} - others) == len(unseen) == texts
    wrong = {case.text: spoken(case.text) for case in unseen if not is_right(case)}
    assert len(wrong) <= texts - right, wrong
