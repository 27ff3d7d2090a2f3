"""The words of a sentence are parts of its text, and lie where the audio has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio
from voxfleet_inference.speech.words.durations import expected_seconds, syllables
from voxfleet_inference.speech.words.loudness import Loudness
from voxfleet_inference.speech.words.sentence_words import WordFinder
from voxfleet_inference.speech.words.timing import expected_words, word_times
from voxfleet_inference.speech.words.word_spans import shares, words_of

FRAME = 0.01


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ("Hello,", "world!")),
        ("  spaces \n count - not  ", ("spaces", "count -", "not")),
        ('He said: "No." (Twice…)', ("He", "said:", '"No."', "(Twice…)")),
        ("今天，天气好。", ("今", "天，", "天", "气", "好。")),
        ("他说：“用Python写。”", ("他", "说：", "“用", "Python", "写。”")),
        ("カード ok 한국어 텍스트", ("カー", "ド", "ok", "한국어", "텍스트")),
        ("¿ Qué tal ?", ("¿ Qué", "tal ?")),
        ("…", ()),
    ],
)
def test_words_keep_their_marks_and_chinese_is_cut_by_character(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


@given(st.text(alphabet="ab1 .,“”\"'()，。好天カー한\n-"))
def test_the_words_are_the_text_in_its_order_without_white_space(text: str) -> None:
    words, at = words_of(text), 0
    for word in words:
        at = text.index(word, at) + len(word)
    if words:
        assert "".join("".join(words).split()) == "".join(text.split())


def test_typed_words_take_the_time_of_what_is_read_for_them() -> None:
    assert shares(("It", "costs", "$5", "now."), ("It", "costs", "five", "dollars", "now."), (1, 2, 3, 4, 5)) == [
        1,
        2,
        7,
        5,
    ]
    assert shares(("a", "1 1", "b"), ("a", "b"), (1, 2)) == [1, 0, 2]
    assert shares(("a", "b"), ("a", "x", "b"), (1, 2, 4)) == pytest.approx([3, 4])
    assert shares(("12:30", "Uhr"), ("half", "past", "twelve"), (1, 1, 1)) == [1.5, 1.5]


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_time_is_lost_between_typed_and_spoken(text: str, spoken: str) -> None:
    typed, read = words_of(text), words_of(spoken)
    if typed and read:
        assert sum(shares(typed, read, [1.0] * len(read))) == pytest.approx(len(read))


@pytest.mark.parametrize(("word", "count"), [("late", 1), ("banana", 3), ("table", 1), ("the", 1), ("rhythm", 1)])
def test_syllables_are_groups_of_vowels(word: str, count: int) -> None:
    assert syllables(word) == count


def test_long_words_take_longer_and_unstressed_ones_less() -> None:
    assert expected_seconds("underemployed") > expected_seconds("treatment") > expected_seconds("we")
    assert expected_seconds("the") < expected_seconds("thy")
    assert expected_seconds("then.") > expected_seconds("then")
    assert expected_seconds("2025") > expected_seconds("25")
    assert expected_seconds("天") > 0


def levels(*parts: tuple[float, int]) -> np.ndarray:
    return np.concatenate([np.full(frames, level) for level, frames in parts])


def test_a_pause_in_the_audio_is_found_at_the_mark() -> None:
    # Where a share by length would put the comma at 0.9 s of 2 s, the pause is at 1.2 s.
    decibels = levels((-90, 20), (-20, 100), (-90, 30), (-20, 50), (-90, 20))
    yes, no = word_times("Certainly, never.", "Certainly, never.", decibels, FRAME)
    assert (yes.word, no.word) == ("Certainly,", "never.")
    assert (yes.start_seconds, yes.end_seconds) == pytest.approx((0.2, 1.2), abs=0.03)
    assert (no.start_seconds, no.end_seconds) == pytest.approx((1.5, 2.0), abs=0.03)


def test_a_stop_inside_a_word_is_no_pause_between_words() -> None:
    decibels = levels((-20, 30), (-80, 5), (-20, 30), (-30, 2), (-20, 20))
    first, second = word_times("happening now", "happening now", decibels, FRAME)
    assert first.start_seconds == 0
    assert first.end_seconds == second.start_seconds == pytest.approx(0.66, abs=0.08)


@given(
    st.lists(st.sampled_from(["a", "the", "wonderful", "day,", "天", "42", "strengths."]), min_size=1, max_size=12),
    st.lists(st.floats(-120, 0), max_size=120),
)
def test_words_are_in_order_without_overlap_whatever_the_audio(words: list[str], decibels: list[float]) -> None:
    text = " ".join(words)
    found = word_times(text, text, np.array(decibels), FRAME)
    assert [each.word for each in found] == list(words_of(text))
    edges = [edge for each in found for edge in (each.start_seconds, each.end_seconds)]
    assert edges == sorted(edges)
    assert all(0 <= each <= len(decibels) * FRAME + 1e-9 for each in edges)


def test_the_level_does_not_depend_on_how_the_audio_is_cut() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 44_100).astype(np.float32)
    whole, parts = Loudness(44_100), Loudness(44_100)
    whole.add(samples)
    for part in np.array_split(samples, 7):
        parts.add(part)
    assert np.array_equal(whole.decibels(), parts.decibels())
    assert len(whole.decibels()) == 100
    assert whole.decibels().mean() == pytest.approx(-20, abs=0.2)
    assert len(Loudness(44_100).decibels()) == 0


def ended(index: int, text: str, spoken: str, at: float, until: float) -> SentenceEnded:
    return SentenceEnded(
        index=index, text=text, at_seconds=at, until_seconds=until, patches=1, text_tokens=1, attempts=1,
        is_truncated=False, trailing_silence_seconds=0.0, spoken_text=spoken,
    )  # fmt: skip


def test_each_sentence_has_its_own_audio_without_pauses_and_at_the_speed_as_sent() -> None:
    finder = WordFinder(1000, lambda seconds: seconds / 2)
    tone = np.sin(np.arange(1000)).astype(np.float32)
    assert finder.take(SentenceStarted(0, "$5", 0.0)) is None
    assert finder.take(SpeechAudio(0, tone)) is None
    first = finder.take(ended(0, "$5", "five dollars", 0.0, 1.0))
    assert first is not None
    assert [(each["word"], each["start"], each["end"]) for each in first.words] == [("$5", 0.0, 0.5)]
    finder.take(SpeechAudio(0, np.zeros(500, np.float32), patches=0))
    finder.take(SentenceStarted(1, "Two words.", 1.5))
    finder.take(SpeechAudio(1, tone))
    second = finder.take(ended(1, "Two words.", "", 1.5, 2.5))
    assert second is not None
    assert (second.at_seconds, second.until_seconds) == (0.75, 1.25)
    assert (second.words[0]["start"], second.words[-1]["end"]) == (0.75, 1.25)


def test_every_typed_word_is_expected_even_where_nothing_is_read_for_it() -> None:
    assert len(expected_words("a 3 b", "")) == 3
    assert all(each.seconds > 0 for each in expected_words("a 1 1 b", "a b"))
