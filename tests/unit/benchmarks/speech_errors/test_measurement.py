"""Figures that follow from recognised clips, and the rows that a gate and a benchmark make of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Load

RATE_HZ = 1000


class Parrot:
    """A recogniser that "recognises" what a clip's first sample says: the index into its texts."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def recognise(self, samples: Any, _rate_hz: int) -> str:
        return self.texts[int(samples[0])]


def measured(load: Load, *clips: tuple[int, float, int]) -> Any:
    """Measure clips of (index into the texts, seconds, seed) of one sentence with a teacher's length of 1 s."""
    sentence = load("speaking.sentences").Sentence("Red house.", "red house", 1.0)
    synthesis = load("speaking.synthesis")
    made = [
        synthesis.Clip(sentence, seed, np.full(round(seconds * RATE_HZ), index, np.float32), RATE_HZ)
        for index, seconds, seed in clips
    ]
    spoken = synthesis.Spoken(tuple(made), wall_seconds=1.0)
    return load("recognition.measurement").read_all(spoken, Parrot("Red house!", "red horse", "nothing at all"))


def test_the_rate_is_the_mean_of_the_seeds(load: Load) -> None:
    found = measured(load, (0, 1.0, 1), (1, 1.0, 1), (2, 1.0, 2), (2, 1.0, 2))
    assert found.word_error_rates == {1: 0.25, 2: 1.5}
    assert found.word_error_rate == pytest.approx(0.875)
    assert found.real_time_factor == pytest.approx(0.25)


def test_lengths_within_a_quarter_of_the_teachers_are_right(load: Load) -> None:
    found = measured(load, (0, 0.74, 1), (0, 0.75, 1), (0, 1.25, 1), (0, 1.26, 1))
    assert found.right_length_share == pytest.approx(0.5)
    assert found.mean_length_error == pytest.approx(0.255)


def test_the_same_audio_allows_rounding_and_the_same_bits_none(load: Load) -> None:
    first = measured(load, (0, 1.0, 1), (1, 1.0, 1), (1, 1.0, 1))
    second = measured(load, (0, 1.0, 1), (1, 1.0, 1), (1, 1.1, 1))
    second.readings[1].clip.samples[5] += 0.0005
    assert first.same_bits_share(second) == pytest.approx(1 / 3)
    assert first.same_audio_share(second) == pytest.approx(2 / 3)


def test_json_has_figures_and_every_reading(load: Load) -> None:
    document = measured(load, (1, 1.0, 7)).as_json()
    assert document["word_error_rates"] == {"7": 0.5}
    assert document["readings"] == [
        {"text": "Red house.", "seed": 7, "recognised": "red horse", "errors": 1, "words": 2, "seconds": 1.0,
         "teacher_seconds": 1.0}
    ]  # fmt: skip


def options(load: Load, **changed: Any) -> Any:
    given = {
        "checkpoint": Path("demo"), "beside": None, "sentences": (), "seeds": (1,), "formats": ("fp32", "int8"),
        "demo_cfg": 2.0, "voice": "default", "with_reference": True, "threads": 1,
    }  # fmt: skip
    return load("gate").GateOptions(**(given | changed))


def rows(load: Load, **changed: Any) -> list[tuple[str, ...]]:
    runs = load("gate").runs_of(options(load, **changed))
    return [(run.checkpoint.name, run.side, run.dtype, f"{run.cfg_value:g}", run.voice) for run in runs]


def test_the_gate_measures_each_format_the_reference_and_another_checkpoint(load: Load) -> None:
    assert rows(load, demo_cfg=4.0, beside=Path("before")) == [
        ("demo", "server", "fp32", "2", "default"),
        ("demo", "server", "fp32", "4", "default"),
        ("demo", "server", "int8", "2", "default"),
        ("demo", "reference", "fp32", "2", "default"),
        ("before", "server", "fp32", "2", "default"),
        ("before", "server", "fp32", "4", "default"),
    ]


def test_equal_settings_are_measured_once(load: Load) -> None:
    assert len(rows(load, voice="random", with_reference=False, formats=("fp32",))) == 1


def test_figures_are_those_of_the_checkpoint_and_voice(load: Load) -> None:
    gate, chosen = load("gate"), options(load, demo_cfg=4.0, beside=Path("before"))
    indices = [1, 0, 0, 1, 2, 2]  # of the recognised text, in the order of the rows above
    measurements = {
        run: measured(load, (index, 1.0, 1)) for run, index in zip(gate.runs_of(chosen), indices, strict=True)
    }
    figures = gate.GateResult(measurements, {}).figures(chosen)
    assert (figures.word_error_rate, figures.demo_word_error_rate, figures.right_length_share) == (0.5, 0.0, 1.0)
    assert figures.by_format == {"fp32": 0.5, "int8": 0.0, "reference": 0.5}


def test_without_the_first_format_there_are_no_figures(load: Load) -> None:
    assert load("gate").GateResult({}, {"fp32": "no"}).figures(options(load)) is None
