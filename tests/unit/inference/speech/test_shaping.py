from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.speech.shaping import FADE_SECONDS, faded_out, trailing_silence_after

RATE = 44100


@pytest.mark.parametrize("length", [0, 1, 100, 441, 7056])
def test_a_fade_ends_at_zero_and_changes_only_the_end(length: int) -> None:
    samples = np.full(length, 0.5, np.float32)
    faded = faded_out(samples, RATE)
    fade = min(length, round(FADE_SECONDS * RATE))
    assert np.array_equal(faded[: length - fade], samples[: length - fade])
    assert np.all(samples == np.float32(0.5))
    if length > 1:
        assert faded[-1] == pytest.approx(0.0, abs=1e-6)
        assert np.all(np.diff(faded[length - fade :]) < 0)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.005, -0.5, 0.5]), min_size=1, max_size=600), max_size=5))
def test_trailing_silence_is_counted_across_patches(patches: list[list[float]]) -> None:
    counted = 0
    for patch in patches:
        counted = trailing_silence_after(counted, np.array(patch, np.float32))
    whole = [sample for patch in patches for sample in patch]
    loud = [place for place, sample in enumerate(whole) if abs(sample) > 0.01]
    assert counted == (len(whole) - 1 - loud[-1] if loud else len(whole))
