from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.audio.tempo import Tempo, tempo_factors

RATE, PATCH = 44100, 7056


def tone(patches: int) -> Any:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(patches * PATCH) / RATE)).astype(np.float32)


def at_tempo(speed: float, samples: Any) -> tuple[Any, list[int]]:
    tempo = Tempo(speed, RATE)
    parts = [tempo.convert(piece) for piece in np.split(samples, len(samples) // PATCH)]
    return np.concatenate([*parts, tempo.finish()]), [len(part) for part in parts]


@given(st.floats(0.25, 4.0))
def test_factors_multiply_to_the_speed_within_the_filters_limits(speed: float) -> None:
    factors = tempo_factors(speed)
    assert math.prod(factors) == pytest.approx(speed)
    assert all(0.5 <= factor <= 2.0 for factor in factors)


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.25, 2.0, 4.0])
def test_another_speed_changes_the_length_and_not_the_pitch(speed: float) -> None:
    got, _ = at_tempo(speed, tone(20))
    assert len(got) == pytest.approx(20 * PATCH / speed, rel=0.03)
    middle = got[len(got) // 4 : -len(got) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(int(spectrum.argmax()) * RATE / len(middle) - 440) < 6


def test_speed_one_is_bit_for_bit() -> None:
    samples = tone(3)
    got, sizes = at_tempo(1.0, samples)
    assert np.array_equal(got, samples)
    assert sizes == [PATCH] * 3


def test_samples_are_returned_before_the_end() -> None:
    _, sizes = at_tempo(1.5, tone(8))
    assert sum(sizes[:3]) > 0
