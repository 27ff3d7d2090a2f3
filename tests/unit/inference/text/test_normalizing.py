from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_inference.text.normalization import normalized
from voxfleet_inference.text.number_words import number_words
from voxfleet_inference.text.plain_text import plain_text

SPOKEN = [
    ("It costs $3.50 on May 3, 2024.", "It costs three point five dollars on May three, twenty twenty four."),
    ("We met at 10:30 a.m. and 25% left.", "We met at ten thirty AM and twenty five percent left."),
    ("She came 1st of 12.", "She came first of twelve."),
    ("mp3 and 007", "mp three and oh oh seven"),
    ("今天是2024年5月3日，价格是3.14元。", "今天是二零二四年五月三日，价格是三点一四元。"),
    ("我有iPhone 15和3个苹果。", "我有iPhone十五和三个苹果。"),
    ("x-2=3，面积是5m²。", "x -二等于三，面积是五平方米。"),
    ("（注意）这里有【3】个", "注意 这里有 三 个"),
    ("他说This is number 3 of 10 items，然后走了5公里。", "他说This is number three of ten items，然后走了五公里。"),
    ("后面有空格 ", "后面有空格"),  # the reference raises IndexError here
    ("中文 与 空格", "中文与空格"),
]


@pytest.mark.parametrize(("written", "spoken"), SPOKEN)
def test_numbers_and_signs_become_words_of_the_sentences_language(written: str, spoken: str) -> None:
    assert normalized(written) == spoken


@pytest.mark.parametrize("text", ["", "   ", "...", "😀", "\0", "？！"])
def test_what_has_no_words_comes_back(text: str) -> None:
    assert normalized(text) == text


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60)
    | st.text(alphabet=st.sampled_from("0123456789$%.,:-/=<²年月日元个中文 ab（）\t "), max_size=60)
)
def test_no_sentence_is_too_odd_to_come_back(text: str) -> None:
    spoken = normalized(text)
    assert isinstance(spoken, str)
    assert bool(spoken.strip()) == bool(text.strip())


def test_wetext_is_loaded_by_the_first_sentence_that_needs_it() -> None:
    code = (
        "import sys; import voxfleet_inference.text.normalization as n; assert 'wetext' not in sys.modules;"
        " n.normalized('3 cats'); assert 'wetext' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("20", "twenty"),
        ("21", "twenty-one"),
        ("105", "one hundred and five"),
        ("1001", "one thousand and one"),
        ("1234567", "one million, two hundred and thirty-four thousand, five hundred and sixty-seven"),
        ("042", "zero four two"),
        ("1" * 16, " ".join(["one"] * 16)),
    ],
)
def test_numbers_in_words(digits: str, words: str) -> None:
    assert number_words(digits) == words


def test_a_readme_is_read_without_its_marks() -> None:
    readme = """\
# Title
Run **this and
that**, see [the
link](http://a.b), and not ** this

and that.
Run `make test` **now**, _please_, not snake_case_name or 2 * 3 * 4.
![pic](a.png) See [the docs](http://x.y/z) and <b>this</b>: a < b &amp; c > d.
- item 😀 one
- [x] done 👩\u200d👩\u200d👧 1\ufe0f\u20e3
> quoted
| a | b |
|---|---|
| 1 | 2 |
```python
code()
```
---
The ~~old~~ end.
"""
    assert [line.strip() for line in plain_text(readme).splitlines() if line.strip()] == [
        "Title",
        "Run this and",
        "that, see the",
        "link, and not ** this",
        "and that.",
        "Run make test now, please, not snake_case_name or 2 * 3 * 4.",
        "See the docs and this: a < b & c > d.",
        "item  one",
        "done  1",
        "quoted",
        "a, b",
        "1, 2",
        "The old end.",
    ]


@pytest.mark.parametrize("text", ["😀😀", "```\ncode\n```", "---", "# ", "![a](b)"])
def test_a_text_of_nothing_but_marks_stays(text: str) -> None:
    assert plain_text(text) == text


@given(st.text(max_size=200) | st.text(alphabet=st.sampled_from("*_`~#|->![]()<a b\n"), max_size=200))
def test_any_text_can_be_plain(text: str) -> None:
    assert bool(plain_text(text).strip()) == bool(text.strip())


@pytest.mark.parametrize("unit", ["[", "**a", "`a", "<a", "![", "_a", "| ", "# #", "<!--", "*a ", "> - ", "``` "])
def test_a_hostile_text_takes_time_in_proportion(unit: str) -> None:
    assert plain_text("words " + unit * (20_000 // len(unit)))
