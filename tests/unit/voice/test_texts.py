import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.normalization import normalized
from voxfleet_voice.export.tokenizer import TRAINED
from voxfleet_voice.texts.grammar import RULES, expand, read_rules
from voxfleet_voice.texts.number_words import cardinal, one_by_one, ordinal, year
from voxfleet_voice.texts.sampler import KINDS, MAX_JOINED_WORDS, MAX_WORDS, draw_text
from voxfleet_voice.texts.word_list import WordList, ambiguous_words

seeds = st.integers(0, 10**9)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


@pytest.mark.parametrize("number", [0, 7, 13, 20, 21, 99, 100, 101, 345, 999, 20_000, 45_678, 12_345_678])
def test_numbers_are_spelt_as_the_server_spells_them(number: int) -> None:
    assert normalized(f"{number} trees") == f"{cardinal(number)} trees"


@pytest.mark.parametrize(("number", "spelt"), [(1998, "nineteen ninety eight"), (1905, "nineteen oh five")])
def test_years_are_read_in_halves(number: int, spelt: str) -> None:
    assert year(number) == spelt


def test_years_as_the_server_spells_them() -> None:
    for number in (1700, 1812, 1998, 2024):
        spelt = normalized(f"in {number}.").removeprefix("in ").removesuffix(".")
        assert spelt.replace("-", " ") == year(number)  # to the model, a hyphen is the space between words


def test_ranks_and_digits() -> None:
    assert [ordinal(number) for number in (1, 8, 12, 20, 21, 30)] == [
        "first",
        "eighth",
        "twelfth",
        "twentieth",
        "twenty first",
        "thirtieth",
    ]
    assert one_by_one("0705") == "oh seven oh five"


def test_every_symbol_of_the_rules_has_rules() -> None:
    used = {found for options in RULES.values() for _, text in options for found in re.findall(r"<(\w+)>", text)}
    assert used <= set(RULES)
    assert set(KINDS) - {"salad"} <= set(RULES)


def test_rules_are_read_with_their_weights() -> None:
    assert read_rules("# a comment\n\nstart\n  2\ta <b>\n  0.5\tc\nb\n  1\td\n") == {
        "start": ((2.0, "a <b>"), (0.5, "c")),
        "b": ((1.0, "d"),),
    }


@given(seed=seeds, kind=st.sampled_from(sorted(RULES)))
def test_an_expansion_holds_words_only(words: WordList, seed: int, kind: str) -> None:
    text = expand(kind, words, seeded(seed))
    assert not re.search(r"[<>{}]|  ", text)
    assert not re.search(r"\ba [aeiou]", text)


@given(seed=seeds)
def test_a_text_is_as_long_as_what_the_server_sends(words: WordList, seed: int) -> None:
    text = draw_text(words, seeded(seed))
    limit = MAX_WORDS if len(text.sentences) == 1 else MAX_JOINED_WORDS
    assert all(1 <= len(sentence.written.split(" ")) <= limit for sentence in text.sentences)


@given(seed=seeds)
def test_what_is_read_and_what_is_spoken_have_the_same_words(words: WordList, seed: int) -> None:
    for sentence in draw_text(words, seeded(seed)).sentences:
        spoken, written = (
            [re.sub(r"[^a-z']", "", word.lower()) for word in text.split(" ")]
            for text in (sentence.spoken, sentence.written)
        )
        assert spoken == written
        assert set(sentence.written) <= {*TRAINED, " "}


def test_texts_have_both_lengths_all_marks_and_none(words: WordList) -> None:
    source = seeded(0)
    texts = [draw_text(words, source) for _ in range(2000)]
    ends = {text.written[-1] for text in texts}
    assert {".", "?", "!", ","} <= ends
    assert any(end.isalpha() for end in ends)
    assert {1, 2} == {len(text.sentences) for text in texts}
    assert max(len(text.written.split(" ")) for text in texts) > MAX_WORDS


def test_the_same_seed_draws_the_same_texts(words: WordList) -> None:
    first, second = ([draw_text(words, source) for _ in range(50)] for source in (seeded(3), seeded(3)))
    assert first == second


def test_words_of_several_parts_of_speech_are_derived_from_their_forms() -> None:
    derived = ambiguous_words({"walk", "walks", "walked", "walking", "quick", "quickly"}, {"quickly"})
    assert "walk" in derived["VB"] & derived["NN"]
    assert "walked" in derived["VBD"]
    assert "quick" in derived["JJ"]
    assert "went" in derived["VBD"]
