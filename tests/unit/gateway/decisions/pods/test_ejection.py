"""Ejections grow, overlap harmlessly, and end; deadlines follow reports within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.ejection import (
    FIRST_BYTE_SECONDS,
    FIRST_EJECTION_SECONDS,
    LONGEST_EJECTION_SECONDS,
    LONGEST_FIRST_BYTE_SECONDS,
    Ejection,
    first_byte_limit_seconds,
)


def test_each_ejection_is_twice_as_long_up_to_the_longest() -> None:
    ejection, now, lengths = Ejection(), 0.0, []
    for _ in range(8):
        ejection.record_failure(now)
        lengths.append(ejection.until_seconds - now)
        now = ejection.until_seconds
    assert lengths == [5, 10, 20, 40, 80, 160, 300, 300]


def test_attempts_that_began_before_an_ejection_do_not_prolong_it() -> None:
    ejection = Ejection()
    for now in (0.0, 0.1, 4.9):
        ejection.record_failure(now)
    assert (ejection.failures, ejection.until_seconds) == (1, FIRST_EJECTION_SECONDS)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e4)), max_size=60))
def test_no_order_of_failures_and_successes_ejects_longer_than_the_longest(steps: list[tuple[bool, float]]) -> None:
    ejection, now = Ejection(), 0.0
    for is_failure, seconds in steps:
        now += seconds
        ejection.record_failure(now) if is_failure else ejection.record_success()
        assert ejection.failures >= 0
        assert ejection.until_seconds <= now + LONGEST_EJECTION_SECONDS
    assert not ejection.is_active(now + LONGEST_EJECTION_SECONDS)


@pytest.mark.parametrize(
    ("expected", "hold_left", "limit"),
    [(0, 25, 10), (0.06, 25, 10), (5, 25, 15), (60, 25, 25), (60, 600, 180), (1e6, 1e6, 300), (60, -3, 10)],
)
def test_a_first_byte_is_waited_for_as_long_as_report_and_request_justify(
    expected: float, hold_left: float, limit: float
) -> None:
    assert first_byte_limit_seconds(expected, hold_left) == limit


@given(st.floats(0, 1e9), st.floats(-1e9, 1e9))
def test_the_limit_is_bounded_whatever_a_pod_reports(expected: float, hold_left: float) -> None:
    assert FIRST_BYTE_SECONDS <= first_byte_limit_seconds(expected, hold_left) <= LONGEST_FIRST_BYTE_SECONDS
