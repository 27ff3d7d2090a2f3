from __future__ import annotations

import pytest
from voxfleet_inference.text.number_words import number_words


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
