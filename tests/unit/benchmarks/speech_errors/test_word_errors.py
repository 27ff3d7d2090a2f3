"""Word errors after Whisper's normalizer: what counts as the same word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import Load

words = st.lists(st.sampled_from("apple river stone green walks slowly".split()), min_size=1, max_size=12)  # noqa: SIM905


@pytest.mark.parametrize(
    ("spelt", "digits"),
    [
        ("It costs twenty three dollars.", "it costs $23"),
        ("two thousand three hundred and fifty people", "2,350 people"),
        ("About forty percent of it.", "About 40% of it"),
        ("We open at nine thirty.", "We open at 9:30."),
        ("Born in nineteen ninety eight.", "born in 1998"),
        ("The meeting is on May third, twenty twenty four.", "The meeting is on May 3rd, 2024."),
        ("The meeting is on May third, twenty twenty four.", "The meeting is on May 3, 2024."),
        ("We open at nine thirty.", "We open at 9.30."),
        ("It costs twenty three dollars and fifty cents.", "It costs $23.50."),
        ("He said: we leave at six.", "He said we leave at 6."),
        ("It weighs three point five pounds.", "It weighs 3.5 pounds."),
    ],
)
def test_a_number_in_words_equals_the_same_in_digits(load: Load, spelt: str, digits: str) -> None:
    count = load("recognition.word_errors").count_word_errors
    assert count(spelt, digits).errors == 0
    assert count(digits, spelt).errors == 0


@pytest.mark.parametrize(
    ("recognised", "errors"),
    [
        ("the cat lay on the mat", 0),
        ("The cat, lay on the MAT!", 0),
        ("the cat lay on mat", 1),
        ("the bat lay on the mat", 1),
        ("the cat lay on the the mat", 1),
        ("", 6),
    ],
)
def test_substitutions_deletions_and_insertions_count(load: Load, recognised: str, errors: int) -> None:
    found = load("recognition.word_errors").count_word_errors("The cat lay on the mat.", recognised)
    assert (found.errors, found.words) == (errors, 6)


def test_a_reference_without_words_counts_insertions(load: Load) -> None:
    count = load("recognition.word_errors").count_word_errors
    assert [(found.errors, found.words) for found in (count("?", ""), count("?", "green river"))] == [(0, 0), (2, 0)]


@given(words, words)
def test_errors_are_bounded_and_zero_only_for_equal_words(load: Load, first: list[str], second: list[str]) -> None:
    found = load("recognition.word_errors").count_word_errors(" ".join(first), " ".join(second))
    assert found.words == len(first)
    assert abs(len(first) - len(second)) <= found.errors <= max(len(first), len(second))
    assert (found.errors == 0) == (first == second)


def test_rates_add_errors_and_words(load: Load) -> None:
    made = load("recognition.word_errors").WordErrors
    assert (made(1, 4) + made(2, 8)).rate == pytest.approx(0.25)
    assert made(0, 0).rate == 0
