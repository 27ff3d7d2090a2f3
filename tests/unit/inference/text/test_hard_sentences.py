from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.sentence_buffer import SentenceBuffer
from voxfleet_inference.text.sentences import MAX_WEIGHT, End, TextSentence, split, weight

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
def test_a_reader_would_end_the_sentences_here(marked: str) -> None:
    text = marked.replace("|", "")
    assert [each.text for each in split(text)] == [part.strip() for part in marked.split("|")]


@pytest.mark.parametrize("marked", MARKED)
def test_letter_by_letter_the_sentences_are_the_same(marked: str) -> None:
    text, buffer = marked.replace("|", ""), SentenceBuffer()
    given_out = [sentence for letter in text for sentence in buffer.append(letter)]
    assert [each.text for each in (*given_out, *buffer.flush())] == [part.strip() for part in marked.split("|")]
    assert buffer.waiting_characters == 0


NOVEL = """\
It is a truth universally acknowledged, that a single man in possession
of a good fortune, must be in want of a wife. However little known Mr.
Bennet may be, he lived on.

"My dear," said his lady to him one day, "have you heard that
Netherfield Park is let at last?"
"""
README = """\
# A title

Install it first. Then run it.
- one thing
- another thing, so long that it had to be wrapped over the column,
  and so it goes on here
1. First of all
2. After that

---
The end of it.
"""


def test_wrapped_lines_of_a_novel_are_one() -> None:
    assert split(NOVEL) == (
        TextSentence(
            "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want"
            " of a wife.",
            End.SENTENCE,
        ),
        TextSentence("However little known Mr. Bennet may be, he lived on.", End.PARAGRAPH),
        TextSentence(
            '"My dear," said his lady to him one day, "have you heard that Netherfield Park is let at last?"', End.LINE
        ),
    )


def test_lines_of_a_readme_stay_apart() -> None:
    assert [each.text for each in split(README)] == [
        "# A title",
        "Install it first.",
        "Then run it.",
        "- one thing",
        "- another thing, so long that it had to be wrapped over the column, and so it goes on here",
        "1. First of all",
        "2. After that ---",
        "The end of it.",
    ]


def test_a_wide_column_is_a_column_too() -> None:
    wrapped = "Both of them set up everything they need (packages, binaries built from their published modules, the"
    assert split(f"{wrapped}\nPython environment) and say so.")[0].text == f"{wrapped} Python environment) and say so."


def test_the_lines_of_a_poem_stay_apart() -> None:
    poem = "床前明月光\n疑是地上霜\n举头望明月\n低头思故乡"
    assert [each.text for each in split(poem)] == poem.split("\n")


def test_a_wrapped_chinese_line_gets_no_space() -> None:
    first = "我们在一个安静的小村庄里住了很多年那里的人们都很友善而且总是愿意帮助"
    assert split(f"{first}\n别人，我很想念他们。")[0].text == f"{first}别人，我很想念他们。"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("word " * 30 + "here; " + "word " * 30 + "there, " + "word " * 10, "here;"),
        ("词语" * 20 + "，" + "词语" * 25 + "，" + "词语" * 20, "，"),
        ("see https://example.com/" + "a" * 120 + ", and " + "word " * 40, "a,"),
        ("It costs 1,000,000 dollars and " * 11, ""),
    ],
)
def test_an_endless_sentence_is_cut_where_it_hurts_least(text: str, ends: str) -> None:
    parts = split(text)
    assert len(parts) > 1
    assert all(part.end is End.CLAUSE for part in parts[:-1])
    assert parts[0].text.endswith(ends.strip())
    assert min(weight(part.text) for part in parts) > 40
    assert "1,000,000" not in text or sum(part.text.count("1,000,000") for part in parts) == 11


def test_a_family_of_emoji_is_not_torn() -> None:
    family = "👩\u200d👩\u200d👧"
    assert all(part.text.count("\u200d") == 2 * part.text.count("👧") for part in split(family * 100))


TEXTS = st.one_of(
    st.text(max_size=300),
    st.text(alphabet=st.sampled_from('ab Z9.,!?…。！？，"”’()\n中文3-#\t\u200d\u0301'), max_size=500),
    st.lists(
        st.sampled_from(
            ["Mr. ", "U.S. ", "No. ", "e.g. ", "3.14", "Then ", "he ", "? ", "! ", '"', "。", "他说", "\n", "\n\n"]
        ),
        max_size=60,
    ).map("".join),
)


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(TEXTS, st.integers(min_value=20, max_value=120))
def test_nothing_is_lost_the_order_is_kept_and_the_bound_is_held(text: str, max_weight: int) -> None:
    sentences = split(text, max_weight=max_weight)
    assert letters("".join(each.text for each in sentences)) == letters(text)
    assert all(0 < weight(each.text) <= max_weight for each in sentences)
    assert all(each.text == each.text.strip() and "\n" not in each.text for each in sentences)


@given(TEXTS, st.data())
def test_a_buffer_loses_nothing_however_the_text_comes(text: str, data: st.DataObject) -> None:
    buffer, given_out, at = SentenceBuffer(), [], 0
    while at < len(text):
        size = data.draw(st.integers(min_value=1, max_value=40))
        given_out += buffer.append(text[at : at + size])
        at += size
    given_out += buffer.flush()
    assert letters("".join(each.text for each in given_out)) == letters(text)
    assert all(0 < weight(each.text) <= MAX_WEIGHT for each in given_out)


def test_a_buffer_gives_a_sentence_as_soon_as_the_next_one_has_begun() -> None:
    buffer = SentenceBuffer()
    assert buffer.append("Hello there, my friend. ") == ()
    assert buffer.append("How") == ()
    assert [each.text for each in buffer.append(" are")] == ["Hello there, my friend."]
    assert buffer.append(" you today?") == ()
    assert [each.text for each in buffer.flush()] == ["How are you today?"]
    assert [each.text for each in buffer.append("你好，我的好朋友。你")] == ["你好，我的好朋友。"]


def test_a_buffer_does_not_wait_for_ever_for_an_end() -> None:
    buffer = SentenceBuffer()
    given_out = [each for _ in range(400) for each in buffer.append("and so on ")]
    assert len(given_out) > 8
    assert buffer.waiting_characters < 3 * MAX_WEIGHT


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
def test_a_very_long_text_takes_time_in_proportion(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    assert letters("".join(each.text for each in split(text))) == letters(text)
