from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.speech.pauses import missing_pause_seconds, pause_seconds
from voxfleet_inference.speech.retry_policy import is_runaway, should_retry
from voxfleet_inference.speech.shaping import FADE_SECONDS, faded_out, silence, trailing_silence_after
from voxfleet_inference.text.sentences import End, TextSentence

RATE = 44100


@pytest.mark.parametrize("length", [0, 1, 100, 441, 7056])
def test_a_fade_ends_at_zero_without_a_jump_and_touches_only_the_end(length: int) -> None:
    samples = np.full(length, 0.5, np.float32)
    faded = faded_out(samples, RATE)
    fade = min(length, round(FADE_SECONDS * RATE))
    assert np.array_equal(faded[: length - fade], samples[: length - fade])
    assert np.all(samples == np.float32(0.5))
    if length > 1:
        assert faded[-1] == pytest.approx(0.0, abs=1e-6)
        assert np.all(np.diff(faded[length - fade :]) < 0)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.005, -0.5, 0.5]), min_size=1, max_size=600), max_size=5))
def test_silence_at_the_end_is_counted_over_patches(patches: list[list[float]]) -> None:
    counted = 0
    for patch in patches:
        counted = trailing_silence_after(counted, np.array(patch, np.float32))
    whole = [sample for patch in patches for sample in patch]
    loud = [place for place, sample in enumerate(whole) if abs(sample) > 0.01]
    assert counted == (len(whole) - 1 - loud[-1] if loud else len(whole))


@pytest.mark.parametrize(
    ("text", "end", "seconds"),
    [
        ("It ends.", End.SENTENCE, 0.35),
        ("Does it?”", End.SENTENCE, 0.4),
        ("真的！」", End.SENTENCE, 0.4),
        ("Well…", End.SENTENCE, 0.5),
        ("first,", End.CLAUSE, 0.15),
        ("torn in the mid", End.CLAUSE, 0.05),
        ("A title", End.LINE, 0.45),
        ("It ends.", End.PARAGRAPH, 0.8),
        ("...", End.LINE, 0.45),
        ("", End.SENTENCE, 0.2),
    ],
)
def test_a_reader_pauses_by_the_mark_and_the_break(text: str, end: End, seconds: float) -> None:
    assert pause_seconds(TextSentence(text, end)) == seconds


def test_silence_that_is_there_is_not_added_again() -> None:
    sentence = TextSentence("It ends.")
    assert missing_pause_seconds(sentence, 0.1) == pytest.approx(0.25)
    assert missing_pause_seconds(sentence, 2.0) == 0.0
    assert len(silence(0.25, RATE)) == 11025
    assert not silence(0.25, RATE).any()


@pytest.mark.parametrize(
    ("patches", "tokens", "voice_patches", "is_bad"),
    [
        (60, 10, 0, True),
        (59, 10, 0, False),
        (58, 10, 30, True),
        (57, 10, 30, False),
        (59, 10, 1, True),
        (99, 0, 0, False),
    ],
)
def test_the_references_bad_case(patches: int, tokens: int, voice_patches: int, *, is_bad: bool) -> None:
    assert is_runaway(patches, tokens, voice_patches) is is_bad
    assert should_retry(2, patches, tokens, voice_patches) is is_bad
    assert not should_retry(3, patches, tokens, voice_patches)
