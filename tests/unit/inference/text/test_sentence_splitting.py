from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.sentences import MAX_WEIGHT, weight
from voxfleet_inference.text.sentences import split as split_text


def split(text: str, **bounds: int) -> tuple[str, ...]:
    return tuple(sentence.text for sentence in split_text(text, **bounds))


ENGLISH = [
    ("The sun rose early. Nobody was awake yet.", ["The sun rose early.", "Nobody was awake yet."]),
    (
        "It costs 3.14 dollars in total. That is cheap enough.",
        ["It costs 3.14 dollars in total.", "That is cheap enough."],
    ),
    ("Mr. Smith met Dr. Jones at St. Mary's. They talked.", None),
    ("See e.g. chapter four, i.e. the long one. Then read on slowly.", None),
    (
        "We arrived at 5 p.m. and left again. Nobody saw us go.",
        ["We arrived at 5 p.m. and left again.", "Nobody saw us go."],
    ),
    (
        "We arrived at five p.m. Nobody was there to greet us.",
        ["We arrived at five p.m.", "Nobody was there to greet us."],
    ),
    ("J. R. R. Tolkien wrote it in Oxford. It sold very well.", None),
    ("Visit https://example.com/a.b?c=d.e for more. It is free of charge.", None),
    ('"Are you coming with us?" she asked. "No, I will stay."', None),
    ("Well... maybe not today, my friend. Let us see tomorrow.", None),
    ("What a day this has been! Is it over already? I think so.", None),
    ("1. Wash the rice carefully. 2. Cook it for ten minutes.", None),
    (
        "He said “It is finished.” Then he left the room quietly.",
        ["He said “It is finished.”", "Then he left the room quietly."],
    ),
]
CHINESE = [
    ("今天天气很好，我们去公园。你也一起来吧！", ["今天天气很好，我们去公园。", "你也一起来吧！"]),
    ("他说：“我们明天再来。”然后他就慢慢走了。", ["他说：“我们明天再来。”", "然后他就慢慢走了。"]),
    ("圆周率约为3.14，大家都知道。真的是这样吗？", ["圆周率约为3.14，大家都知道。", "真的是这样吗？"]),
    ("这个模型叫做VoxCPM 1.5。It speaks two languages. 很不错吧！", None),
    ("等一等……我还没有准备好呢。你们先走吧！", None),
]


@pytest.mark.parametrize(("text", "sentences"), [case for case in ENGLISH + CHINESE if case[1] is not None])
def test_sentences_end_where_a_reader_would_breathe(text: str, sentences: list[str]) -> None:
    assert list(split(text)) == sentences


@pytest.mark.parametrize(
    ("text", "unbroken"),
    [
        (ENGLISH[2][0], "Mr. Smith met Dr. Jones at St. Mary's."),
        (ENGLISH[3][0], "See e.g. chapter four, i.e. the long one."),
        (ENGLISH[6][0], "J. R. R. Tolkien wrote it in Oxford."),
        (ENGLISH[7][0], "https://example.com/a.b?c=d.e"),
        (ENGLISH[8][0], "she asked."),
        (ENGLISH[9][0], "Well... maybe not today, my friend."),
        (ENGLISH[11][0], "1. Wash the rice carefully."),
        (CHINESE[3][0], "VoxCPM 1.5"),
        (CHINESE[4][0], "我还没有准备好呢。"),
    ],
)
def test_what_only_looks_like_an_end_does_not_split(text: str, unbroken: str) -> None:
    assert any(unbroken in sentence for sentence in split(text))
    assert len(split(text)) >= 2


def test_lines_are_never_joined() -> None:
    assert split("One\nTwo") == ("One", "Two")


def test_short_exclamations_join_their_neighbour() -> None:
    assert split("Oh! That is a very nice surprise indeed.") == ("Oh! That is a very nice surprise indeed.",)


def test_a_sentence_without_end_is_cut_at_commas_then_spaces_then_anywhere() -> None:
    commas = split("word word word, " * 60)
    assert all(sentence.endswith(",") for sentence in commas)
    assert all(" " not in sentence[-1] for sentence in split("word " * 200))
    assert [len(sentence) for sentence in split("x" * 700)] == [300, 300, 100]


def test_three_hundred_chinese_characters_become_a_dozen_sentences() -> None:
    text = "清晨的阳光穿过窗帘落在木地板上，屋子里很安静。" * 13
    assert len(split(text)) == 13


@given(st.text(alphabet=st.sampled_from('ab Z9.,!?…。！？，"”’)\n中文3'), max_size=400))
def test_nothing_is_lost_and_nothing_is_too_heavy(text: str) -> None:
    sentences = split(text, max_weight=60)
    assert re.sub(r"\s", "", "".join(sentences)) == re.sub(r"\s", "", text)
    assert all(0 < weight(sentence) <= 60 for sentence in sentences)
    assert all(sentence == sentence.strip() for sentence in sentences)


@given(st.text(max_size=500))
def test_any_text_can_be_split(text: str) -> None:
    assert all(weight(sentence) <= MAX_WEIGHT for sentence in split(text))
