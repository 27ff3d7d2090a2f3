from __future__ import annotations

import pytest
from sentence_cases import MARKED, texts_of
from voxfleet_inference.text.sentences import split


@pytest.mark.parametrize("marked", MARKED)
def test_marked_texts_end_their_sentences_at_the_marks(marked: str) -> None:
    text = marked.replace("|", "")
    assert [each.text for each in split(text)] == [part.strip() for part in marked.split("|")]


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
def test_sentences_end_at_their_end_marks(text: str, sentences: list[str]) -> None:
    assert list(texts_of(text)) == sentences


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
def test_abbreviations_numbers_and_quotes_do_not_end_a_sentence(text: str, unbroken: str) -> None:
    assert any(unbroken in sentence for sentence in texts_of(text))
    assert len(texts_of(text)) >= 2
