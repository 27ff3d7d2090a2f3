from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.pause_marks import (
    MAX_PAUSE_SECONDS,
    MAX_TEXT_PAUSE_SECONDS,
    PauseSplitter,
    with_plain_pauses,
    without_pauses,
)
from voxfleet_inference.text.sentences import End, TextSentence


def parts_of(*texts: str) -> list[tuple[float, str]]:
    splitter = PauseSplitter()
    return [(part.pause_before_seconds, part.text) for text in texts for part in splitter.parts(TextSentence(text))]


@pytest.mark.parametrize(
    ("mark", "seconds"),
    [
        ("[pause:1s]", 1),
        ("[pause:250ms]", 0.25),
        ("[pause: 1.5 s]", 1.5),
        ("[PAUSE 2]", 2),
        ("[pause]", 0.5),
        ("[pause:900s]", MAX_PAUSE_SECONDS),
        ('<break time="500ms"/>', 0.5),
        ("<break time='2s' />", 2),
        ('<break time=".5s"></break>', 0.5),
        ('<break strength="strong"/>', 1),
        ('<break strength="none"/>', 0),
        ('<break strength="loud"/>', 0.5),
        ("<break/>", 0.5),
        ("<break>", 0.5),
        ('<break time="1h"/>', 0.5),
    ],
)
def test_a_mark_is_a_pause_before_what_follows(mark: str, seconds: float) -> None:
    assert parts_of(f"One {mark} two.") == [(0, "One"), (seconds, "two.")]
    assert parts_of(with_plain_pauses(f"One {mark} two.")) == [(0, "One"), (seconds, "two.")]


@pytest.mark.parametrize("text", ["[paused]", "[pause:soon]", "<breakfast>", "pause 1s", "[pause:1min]"])
def test_other_words_are_no_pauses(text: str) -> None:
    assert parts_of(text) == [(0, text)]
    assert with_plain_pauses(text) == without_pauses(text) == text


def test_pauses_wait_for_the_next_sentence_and_add_up() -> None:
    assert parts_of("[pause:1s]", "[pause:2s] One.", "[pause:1s].", "Two. [pause:5s]") == [(3, "One."), (1, "Two.")]


def test_the_last_part_ends_as_its_sentence_does() -> None:
    sentence = TextSentence("One [pause:1s] two [pause:1s].", End.PARAGRAPH)
    assert [part.end for part in PauseSplitter().parts(sentence)] == [End.CLAUSE, End.PARAGRAPH]


@given(st.lists(st.sampled_from(["a", "[pause:9s]", "[pause:400s]", " ", "<break/>", "."]), max_size=60))
def test_pauses_are_bounded_one_by_one_and_together(pieces: list[str]) -> None:
    pauses = [seconds for seconds, _ in parts_of("".join(pieces))]
    assert all(0 <= seconds <= MAX_PAUSE_SECONDS for seconds in pauses)
    assert sum(pauses) <= MAX_TEXT_PAUSE_SECONDS
