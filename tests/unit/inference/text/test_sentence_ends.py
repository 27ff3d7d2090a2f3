from __future__ import annotations

import pytest
from voxfleet_inference.text.sentences import split


def texts_of(text: str, **bounds: int) -> tuple[str, ...]:
    return tuple(sentence.text for sentence in split(text, **bounds))


# Each line is a text; "|" stands where a reader would end a sentence.
MARKED = """
It was a dark night.| "Stop!" he cried.| "Who goes there?"| Nobody answered, not even the dog.
The U.S. Government said so.| He lives in the U.S.| They know it well.
See Fig. 3 and No. 5 on pp. 12-15.| Dr. J. R. R. Tolkien Jr. agreed with Prof. Smith et al. about it.
He said no to her.| Then he sat in the sun.| It rose over them on Jan. 3 and Sat. 5.
Version 1.2.3 of foo.py costs $3.50, at 10:30 a.m. on www.example.com/a?b=c.d!| Write to john.doe@example.com.
He waited . . . and then he left.| Wait for me...| What was that noise?| Well… maybe not today.
(This is an aside.)| Then it goes on.| He left (quickly.) and never returned.
Acme Inc. announced it.| It was Acme Inc.| The company grew.| The Ph.D. student left.| She has a Ph.D.| She is smart.
1. Wash the rice carefully.| 2. Cook it for ten minutes.| 3. Eat it all up.
He lives at 7 St. James Ave. and she at 9 Elm Rd.| Nobody knows why.
That was plan B.| Then we all go.| It was I who spoke.| This was World War I.| The end of it.
At 5 p.m. we left.| We were back at 9 a.m.| The door was open.
J. K. Rowling wrote it.| The J. Paul Getty Museum has it.
Is it 3.14 or 2.71?| It is 1,000,000.00 at least!| That is 50 % more.
The file is /etc/hosts.conf, not C:\\temp\\a.txt.| Open it now.
他对我说。|"你好，我是小明。"|然后他就走了。|她说："再见！"|大家都笑了起来。
我用的是Node.js和config.json文件。|版本是v1.2.3。|网址是https://example.com/a.b。
Mr.王在U.S.公司工作很多年了。|1.首先打开电源。|2.然后关闭它。
价格是3.14元左右。|时间是10:30整。|你说的是真的吗？！|这实在太好了！！！
这是第一句话。|This is the second sentence.|这是第三句话！|And the fourth one?
「你要去哪里？」|他没有回答我的问题……|只是静静地看着窗外。
""".strip().splitlines()


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
