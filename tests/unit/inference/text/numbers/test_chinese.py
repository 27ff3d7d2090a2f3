from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.numbers.chinese import (
    counted,
    decimal_words,
    number_words,
    spelled_digits,
    telephone_digits,
)


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("110", "一百一十"),
        ("105", "一百零五"),
        ("1001", "一千零一"),
        ("1010", "一千零一十"),
        ("2000", "两千"),
        ("10005", "一万零五"),
        ("20000", "两万"),
        ("120000", "十二万"),
        ("100000001", "一亿零一"),
        ("1234567", "一百二十三万四千五百六十七"),
        ("1" * 17, "一" * 17),
    ],
)
def test_numbers_in_words(digits: str, words: str) -> None:
    assert number_words(digits) == words


def test_signs_places_and_digits() -> None:
    assert decimal_words("-1,234.50") == "负一千二百三十四点五零"
    assert (counted("2"), counted("12")) == ("两", "十二")
    assert (spelled_digits("2-1"), telephone_digits("110")) == ("二一", "幺幺零")


@given(st.integers(min_value=0, max_value=10**16 - 1))
def test_no_two_numbers_below_ten_to_the_sixteenth_read_the_same(number: int) -> None:
    assert number_words(str(number)) != number_words(str(number + 1))
