from __future__ import annotations

import pytest
from voxfleet_inference.text.numbers.english import decade_words, decimal_words, number_words, ordinal_words, year_words


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


def test_decimals_ordinals_years_and_decades() -> None:
    assert decimal_words("-1,234.50") == "minus one thousand, two hundred and thirty-four point five zero"
    assert [ordinal_words(each) for each in (1, 12, 20, 22, 100)] == [
        "first", "twelfth", "twentieth", "twenty-second", "one hundredth",
    ]  # fmt: skip
    assert [year_words(each) for each in (1905, 1900, 2000, 2005, 2010, 1066, 800)] == [
        "nineteen oh five", "nineteen hundred", "two thousand", "two thousand and five", "twenty ten", "ten sixty-six",
        "eight hundred",
    ]  # fmt: skip
    assert [decade_words(each) for each in (1990, 80, 1800, 2000)] == [
        "nineteen nineties", "eighties", "eighteen hundreds", "two thousands",
    ]  # fmt: skip
