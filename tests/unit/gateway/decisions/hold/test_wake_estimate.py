"""A refusal's estimate is the wake's rest and a turn after it; Retry-After is never more than clients keep to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.hold.wake_estimate import (
    RETRY_AFTER_MAX_SECONDS,
    retry_after_seconds,
    wait_estimate_seconds,
)
from voxfleet_gateway.decisions.region_traffic import RegionTraffic
from voxfleet_gateway.decisions.snapshot import RegionView


@pytest.mark.parametrize(
    ("view", "seconds"),
    [
        (RegionView("eu", predicted_wake_seconds=40, wake_elapsed_seconds=15), 25),
        (RegionView("eu", predicted_wake_seconds=40, wake_elapsed_seconds=90), 1),
        (RegionView("eu", predicted_wake_seconds=40, held=64, rows_per_pod=32, service_seconds=3), 40 + 64 * 3 / 32),
        (RegionView("eu", ready_pods=1, rows=4, running=3), 0),
        (RegionView("eu", ready_pods=1, rows=4, running=4, service_seconds=2), 0.5),
        (RegionView("eu", ready_pods=1, rows=4, running=4, waiting=3, held=8, service_seconds=2), 6),
    ],
)
def test_the_estimate_is_what_is_left_of_the_wake_and_a_turn_for_each_that_waits(
    view: RegionView, seconds: float
) -> None:
    assert wait_estimate_seconds(view) == pytest.approx(seconds)


def test_the_wake_is_predicted_by_those_that_were_measured() -> None:
    traffic = RegionTraffic()
    assert traffic.predicted_wake(90) == 90, "the operator's prediction, until one is measured"
    for begin in range(0, 1000, 100):
        traffic.start_wake(begin)
        traffic.end_wake(begin + 12)
    assert traffic.predicted_wake(90) == pytest.approx(12)


@given(st.none() | st.floats(0, 1e6))
def test_retry_after_is_whole_seconds_within_its_bounds(estimate: float | None) -> None:
    found = retry_after_seconds(estimate)
    assert 1 <= found <= RETRY_AFTER_MAX_SECONDS
    if estimate is not None and 1 <= estimate <= RETRY_AFTER_MAX_SECONDS:
        assert estimate <= found < estimate + 1
