from __future__ import annotations

import numpy as np
import pytest
from voxfleet_inference.engine.messages import Patch
from voxfleet_inference.speech.assembly import Assembly
from voxfleet_inference.speech.events import SentenceStarted, SpeechAudio
from voxfleet_inference.text.sentences import TextSentence

RATE = 1000


def silent_seconds_between(first: TextSentence, second: TextSentence, trailing_silence: int = 0) -> float:
    assembly = Assembly(RATE)
    list(assembly.begin(first))
    samples = np.concatenate([np.ones(100, np.float32), np.zeros(trailing_silence, np.float32)])
    assembly.add_patch(Patch(1, np.zeros((2, 2), np.float32), samples))
    ended = assembly.end()
    *_, started = assembly.begin(second)
    assert isinstance(started, SentenceStarted)
    return started.at_seconds - ended.until_seconds + ended.trailing_silence_seconds


@pytest.mark.parametrize(
    ("asked", "trailing_silence", "silent"),
    [(0, 0, 0.35), (0.2, 0, 0.35), (2, 0, 2), (2, 500, 2), (0.4, 500, 0.5), (0, 100, 0.35)],
)
def test_a_pause_that_the_text_asks_for_is_the_least_silence(
    asked: float, trailing_silence: int, silent: float
) -> None:
    second = TextSentence("Two.", pause_before_seconds=asked)
    assert silent_seconds_between(TextSentence("One."), second, trailing_silence) == pytest.approx(silent)


def test_a_pause_at_the_start_comes_before_the_first_sentence() -> None:
    pause, started = Assembly(RATE).begin(TextSentence("One.", pause_before_seconds=1.5))
    assert isinstance(pause, SpeechAudio)
    assert (len(pause.samples), pause.patches, float(np.abs(pause.samples).max())) == (1500, 0, 0.0)
    assert isinstance(started, SentenceStarted)
    assert (started.index, started.at_seconds) == (0, 1.5)
