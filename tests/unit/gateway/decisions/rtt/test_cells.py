"""Means that follow and fade."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.rtt.cells import HALF_LIFE_SECONDS, MAX_WEIGHT, Cell

values = st.floats(-5, 5)


@given(st.lists(values, min_size=1, max_size=80))
def test_the_mean_lies_among_the_samples_and_the_weight_is_bounded(samples: list[float]) -> None:
    cell = Cell()
    for index, sample in enumerate(samples):
        cell.add(sample, float(index))
    assert min(samples) - 1e-9 <= cell.mean <= max(samples) + 1e-9
    assert 0 < cell.weight <= MAX_WEIGHT


@given(st.lists(values, max_size=40), values, st.floats(0.1, 10))
def test_a_shrunk_mean_lies_between_mean_and_prior(samples: list[float], prior: float, prior_weight: float) -> None:
    cell = Cell()
    for sample in samples:
        cell.add(sample, 0.0)
    low, high = sorted((cell.mean if samples else prior, prior))
    assert low - 1e-9 <= cell.shrunk(prior, prior_weight, 0.0)[0] <= high + 1e-9


def test_a_sample_weighs_half_after_the_half_life() -> None:
    cell = Cell()
    cell.add(1.0, 0.0)
    assert cell.weight_at(HALF_LIFE_SECONDS) == pytest.approx(0.5)
    assert cell.weight_at(-1.0) == 1.0  # a clock that steps back does not add weight


def test_the_mean_follows_a_new_route() -> None:
    cell = Cell()
    for second in range(200):
        cell.add(0.0, float(second))
    for second in range(200, 260):
        cell.add(1.0, float(second))
    assert cell.mean > 0.8
