from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_cases import TEXTS, letters, texts_of
from voxfleet_inference.text.sentences import MAX_WEIGHT, split, weight


@given(TEXTS, st.integers(min_value=20, max_value=120))
def test_sentences_hold_all_letters_in_order_within_any_max_weight(text: str, max_weight: int) -> None:
    sentences = split(text, max_weight=max_weight)
    assert letters("".join(each.text for each in sentences)) == letters(text)
    assert all(0 < weight(each.text) <= max_weight for each in sentences)
    assert all(each.text == each.text.strip() and "\n" not in each.text for each in sentences)


@pytest.mark.parametrize(
    "unit",
    [
        "A sentence. ",
        "word ",
        "x",
        "中",
        "? ",
        "\n",
        "a.b",
        '"Yes." ',
        "line of words\n",
        "a wrapped line of words that is just long enough for a column\n",
    ],
)
def test_a_text_of_60000_characters_is_split_in_linear_time(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    assert letters("".join(each.text for each in split(text))) == letters(text)


def test_a_short_sentence_is_joined_with_its_neighbour() -> None:
    assert texts_of("Oh! That is a very nice surprise indeed.") == ("Oh! That is a very nice surprise indeed.",)


def test_chinese_sentences_are_not_joined() -> None:
    text = "清晨的阳光穿过窗帘落在木地板上，屋子里很安静。" * 13
    assert len(texts_of(text)) == 13


@given(st.text(alphabet=st.sampled_from('ab Z9.,!?…。！？，"”’)\n中文3'), max_size=400))
def test_sentences_hold_all_characters_within_the_max_weight(text: str) -> None:
    sentences = texts_of(text, max_weight=60)
    assert re.sub(r"\s", "", "".join(sentences)) == re.sub(r"\s", "", text)
    assert all(0 < weight(sentence) <= 60 for sentence in sentences)
    assert all(sentence == sentence.strip() for sentence in sentences)


@given(st.text(max_size=500))
def test_sentences_of_any_text_are_within_the_default_max_weight(text: str) -> None:
    assert all(weight(sentence) <= MAX_WEIGHT for sentence in texts_of(text))
