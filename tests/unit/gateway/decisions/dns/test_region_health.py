"""A region is out at its first failure, returns after three successes, and then ramps up."""

import pytest
from voxfleet_gateway.decisions.dns.region_health import (
    FIRST_ADMISSION,
    RAMP_SECONDS,
    RegionHealth,
    admission,
    after_failure,
    after_success,
)


def test_the_first_failure_puts_a_region_out() -> None:
    assert admission(RegionHealth(), 0) == 1.0
    assert admission(after_failure("refused"), 0) == 0.0


def test_it_returns_after_three_successes_in_a_row() -> None:
    health = after_failure("refused")
    for now in (1, 2):
        health = after_success(health, now)
        assert admission(health, now) == 0.0
    again = after_success(after_success(after_failure("timeout"), 3), 4)
    assert admission(again, 4) == 0.0
    health = after_success(health, 3)
    assert admission(health, 3) == FIRST_ADMISSION


@pytest.mark.parametrize(("seconds", "part"), [(-5, 0.1), (0, 0.1), (30, 0.55), (60, 1.0), (1e6, 1.0)])
def test_it_ramps_up(seconds: float, part: float) -> None:
    assert RAMP_SECONDS == 60
    assert admission(RegionHealth(returned_at=100), 100 + seconds) == pytest.approx(part)


def test_successes_of_a_healthy_region_change_nothing() -> None:
    ramping = RegionHealth(returned_at=5)
    assert after_success(ramping, 10) is ramping
