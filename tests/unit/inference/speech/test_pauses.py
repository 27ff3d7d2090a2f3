from __future__ import annotations

import pytest
from voxfleet_inference.speech.pauses import missing_pause_seconds, pause_seconds
from voxfleet_inference.speech.shaping import silence
from voxfleet_inference.text.sentences import End, TextSentence

RATE = 44100


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
def test_the_pause_depends_on_the_mark_and_the_break(text: str, end: End, seconds: float) -> None:
    assert pause_seconds(TextSentence(text, end)) == seconds


def test_trailing_silence_is_part_of_the_pause() -> None:
    sentence = TextSentence("It ends.")
    assert missing_pause_seconds(sentence, 0.1) == pytest.approx(0.25)
    assert missing_pause_seconds(sentence, 2.0) == 0.0
    assert len(silence(0.25, RATE)) == 11025
    assert not silence(0.25, RATE).any()
