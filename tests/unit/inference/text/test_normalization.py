from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_inference.text import normalization
from voxfleet_inference.text.normalization import normalized
from voxfleet_inference.text.reading import readings

SPOKEN = [
    ("It costs $3.50 on May 3, 2024.", "It costs three dollars and fifty cents on May third, twenty twenty-four."),
    ("We met at 10:30 a.m. and 25% left.", "We met at ten thirty AM and twenty five percent left."),
    ("She came 1st of 12.", "She came first of twelve."),
    ("mp3 and 007", "mp three and oh oh seven"),
    ("今天是2024年5月3日，价格是3.14元。", "今天是二零二四年五月三日，价格是三点一四元。"),
    ("我有iPhone 15和3个苹果。", "我有iPhone十五和三个苹果。"),
    ("x-2=3，面积是5m²。", "x减二等于三，面积是五平方米。"),
    ("（注意）这里有【3】个", "注意 这里有 三 个"),
    ("他说This is number 3 of 10 items，然后走了5公里。", "他说This is number three of ten items，然后走了五公里。"),
    ("后面有空格 ", "后面有空格"),  # the reference raises IndexError here
    ("中文 与 空格", "中文与空格"),
    ('他说"好"，有5个。', '他说"好"，有五个。'),  # wetext alone escapes the quotes
]


@pytest.mark.parametrize(("text", "spoken"), SPOKEN)
def test_numbers_and_signs_become_words_of_the_sentences_language(text: str, spoken: str) -> None:
    assert normalized(text) == spoken


@pytest.mark.parametrize("text", ["", "   ", "...", "😀", "\0", "？！"])
def test_a_text_without_letters_and_digits_is_unchanged(text: str) -> None:
    assert normalized(text) == text


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60)
    | st.text(alphabet=st.sampled_from("0123456789$%.,:-/=<²年月日元个中文 ab（）\t "), max_size=60)
)
def test_no_sentence_raises_or_becomes_empty(text: str) -> None:
    spoken = normalized(text)
    assert isinstance(spoken, str)
    assert bool(spoken.strip()) == bool(text.strip())


def test_wetext_is_loaded_by_the_first_sentence_that_needs_it() -> None:
    code = (
        "import sys; import voxfleet_inference.text.normalization as n; assert 'wetext' not in sys.modules;"
        " n.normalized('3 cats'); assert 'wetext' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_server_that_has_loaded_the_normalizers_loads_nothing_at_a_request() -> None:
    normalization.load()
    loads = normalization._wetext.cache_info().misses
    assert normalized("In 1990, 今年 2 月") != "In 1990, 今年 2 月"
    assert normalization._wetext.cache_info().misses == loads


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("增长多少？\n20%\n2024-05-01", ["增长多少？", "百分之二十", "二零二四年五月一日"]),
        ("20%，3:30。", ["百分之二十，三点三十分。"]),
        ("How much?\n20%", ["How much?", "twenty percent"]),
        ("It's 3pm，我们走吧。", ["It's three PM，我们走吧。"]),
        ("他用OK手势10次", ["他用OK手势十次"]),
        ("Vitamin C每天1000mg。", ["Vitamin C每天一千毫克。"]),
    ],
)
def test_a_number_is_read_in_the_language_of_its_clause_or_of_the_text_before_it(text: str, spoken: list[str]) -> None:
    assert [each.spoken for each in readings(text)] == spoken
