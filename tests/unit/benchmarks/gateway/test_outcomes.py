"""Percentiles, what counts as complete, late chunks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Load = Callable[[str], Any]


@pytest.fixture
def outcomes(load: Load) -> Any:
    return load("clients.outcomes")


@pytest.fixture
def audio(load: Load) -> Any:
    return load("clients.audio")


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([3.0], 50, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([float(number) for number in range(1, 101)], 95, 95.0),
        ([float(number) for number in range(1, 101)], 99, 99.0),
        ([1.0] * 98 + [9.0, 9.0], 99, 9.0),
    ],
)
def test_percentiles_by_nearest_rank(outcomes: Any, values: list[float], percent: int, expected: float) -> None:
    assert outcomes.percentile(values, percent) == expected


def test_no_values_have_no_percentile(outcomes: Any) -> None:
    assert math.isnan(outcomes.percentile([], 95))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.1, 100))
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(
    outcomes: Any, values: list[float], percent: float
) -> None:
    found = outcomes.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9


def test_only_complete_responses_have_times(outcomes: Any) -> None:
    complete = outcomes.Outcome(due_at=1.0, first_at=1.5, ended_at=2.0, error=None)
    cut = outcomes.Outcome(due_at=1.0, first_at=1.1, ended_at=1.2, error="cut off")
    empty = outcomes.Outcome(due_at=1.0, ended_at=1.2, error=None)
    assert outcomes.first_bytes([complete, cut, empty]) == [0.5]
    assert outcomes.totals([complete, cut]) == [1.0]


def test_seconds_of_audio_are_those_of_88_kb_a_second(outcomes: Any) -> None:
    assert outcomes.Outcome(due_at=0.0, body_bytes=88_200).audio_seconds == pytest.approx(1.0)


def test_chunks_of_failed_streams_count_too(outcomes: Any, audio: Any) -> None:
    smooth = audio.ChunkTiming([1.0, 1.0, 1.16], [1.01, 1.01, 1.17])
    stalled = audio.ChunkTiming([1.0, 1.0, 1.16, 1.32], [1.01, 1.01, 1.421, 1.5])
    found = outcomes.chunk_figures([
        outcomes.Outcome(0.0, error=None, chunks=smooth),
        outcomes.Outcome(0.0, error="cut off", chunks=stalled),
        outcomes.Outcome(0.0, error="reset"),
    ])  # fmt: skip
    assert (found.chunks, found.late, found.streams_with_underruns) == (7, 2, 1)
    assert found.stalled_seconds == pytest.approx(0.091)
    assert found.max_age_ms == pytest.approx(261)


@pytest.mark.parametrize(("value", "other", "expected"), [(3.0, 2.0, 1.5), (0.0, 2.0, 0.0), (1.0, 0.0, None)])
def test_ratios(outcomes: Any, value: float, other: float, expected: float | None) -> None:
    assert outcomes.ratio(value, other) == expected
