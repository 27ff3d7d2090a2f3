"""How long the teacher speaks a text: real hibari, which speaks a sentence in a fraction of a second."""

import subprocess
import sys

import pytest
from voxfleet_voice.teacher.durations import UnspeakableError, spoken_seconds
from voxfleet_voice.teacher.grid import FRAMES_PER_SECOND
from voxfleet_voice.teacher.hibari_voice import HibariVoice


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> HibariVoice:
    pytest.importorskip("hibari")
    return HibariVoice(tmp_path_factory.mktemp("teacher"))


def test_a_longer_sentence_takes_longer_and_both_fill_whole_frames(voice: HibariVoice) -> None:
    short, long = (
        spoken_seconds(text, voice) for text in ("The kettle is boiling.", "The kettle is boiling again now.")
    )
    assert 1 < short < long < 4
    assert short * FRAMES_PER_SECOND == pytest.approx(round(short * FRAMES_PER_SECOND))


@pytest.mark.parametrize("text", ["Two. Sentences.", "a - b"])
def test_what_is_no_sentence_of_words_is_named(voice: HibariVoice, text: str) -> None:
    with pytest.raises(UnspeakableError, match="write numbers in words"):
        spoken_seconds(text, voice)


def test_the_command_prints_seconds_and_text() -> None:
    pytest.importorskip("hibari")
    command = [sys.executable, "-m", "voxfleet_voice", "durations"]
    done = subprocess.run(command, input="The kettle is boiling.\n\n", capture_output=True, text=True, check=True)
    seconds, text = done.stdout.removesuffix("\n").split("\t")
    assert text == "The kettle is boiling."
    assert 1 < float(seconds) < 3
