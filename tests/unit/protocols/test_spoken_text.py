"""Which texts can be spoken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_protocols.spoken_text import half_pair, has_speech


@pytest.mark.parametrize("text", ["", " ", "...", "\U0001f600", "\u200b", "\u3164", "\u115f \u1160", "$", "\u2014"])
def test_marks_and_signs_are_no_speech(text: str) -> None:
    assert not has_speech(text)


@pytest.mark.parametrize("text", ["a", "\u4f60", "7", "\u0663", "\u00bd", "1\ufe0f\u20e3", "\uac00", "... a"])
def test_a_letter_or_a_digit_of_any_script_is_speech(text: str) -> None:
    assert has_speech(text)


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_has_half_a_pair_if_it_cannot_be_encoded(text: str) -> None:
    at = next((index for index, each in enumerate(text) if "\ud800" <= each <= "\udfff"), None)
    expected = "" if at is None else f"half a surrogate pair (U+{ord(text[at]):04X}) at character {at + 1}"
    assert half_pair(text) == expected
    assert (text.encode(errors="ignore").decode() == text) == (not expected)
