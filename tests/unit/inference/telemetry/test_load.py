"""Rates, percentiles and Retry-After."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.telemetry.load import Load, expected_audio_seconds, quantile


def test_the_audio_rate_counts_the_last_ten_seconds() -> None:
    load = Load()
    load.step_done(now=0.0, step_seconds=0.1, audio_seconds=100.0)
    for second in range(90, 100):
        load.step_done(now=float(second), step_seconds=0.2, audio_seconds=0.16)
    assert load.audio_seconds_per_second(100.0) == pytest.approx(0.16, rel=0.01)
    assert load.audio_seconds_per_second(200.0) == 0.0
    assert load.step_seconds_p50 == 0.2


def test_retry_after_is_the_queue_at_the_newest_rate_from_1_to_60_seconds() -> None:
    load = Load()
    assert load.retry_after_seconds(0.0) == 1
    load.queued_audio_seconds = 100.0
    assert load.retry_after_seconds(0.0) == 60
    load.step_done(now=9.0, step_seconds=0.1, audio_seconds=10.0)
    assert load.retry_after_seconds(10.0) == 10


def test_without_measurements_there_are_no_percentiles() -> None:
    assert Load().step_seconds_p50 is None
    assert Load().first_audio_seconds_p95 is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert quantile(values, 0.0) == min(values)
    assert quantile(values, 1.0) == max(values)


def test_longer_texts_have_higher_estimates() -> None:
    assert expected_audio_seconds(20) < expected_audio_seconds(200)
