"""What a pod has by now: the report at first, the usual number once the report says nothing more."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.forecast import USUAL_WEIGHT, forecast, usual_after

counts = st.integers(0, 200)
seconds = st.floats(0, 1e6)


@given(counts, counts, st.floats(0, 200), seconds)
def test_a_report_of_this_instant_is_exact(own: int, others: int, usual: float, service_seconds: float) -> None:
    found = forecast(own + others, others, usual, 0.0, max(service_seconds, 0.001))
    assert found == (own + others, own + others, 0.0)


@given(counts, counts, st.floats(0, 200))
def test_an_old_report_is_the_usual_number_with_its_own_variance(own: int, others: int, usual: float) -> None:
    found = forecast(own + others, others, usual, 1e6, 1.0)
    assert found.mean == pytest.approx(own + usual)
    assert found.variance == pytest.approx(usual)


@given(counts, counts, st.floats(0, 200), seconds, seconds)
def test_a_forecast_is_between_the_report_and_the_usual_number(
    own: int, others: int, usual: float, age_seconds: float, service_seconds: float
) -> None:
    found = forecast(own + others, others, usual, age_seconds, service_seconds)
    assert min(others, usual) - 1e-9 <= found.mean - own <= max(others, usual) + 1e-9
    assert -1e-9 <= found.variance <= max(others, usual) + usual + 1e-9


def test_the_usual_number_forgets_a_burst_within_some_reports() -> None:
    usual = usual_after(None, 8)
    assert usual == 8.0
    for _ in range(40):
        usual = usual_after(usual, 0)
    assert usual == pytest.approx(8 * math.pow(1 - USUAL_WEIGHT, 40))
