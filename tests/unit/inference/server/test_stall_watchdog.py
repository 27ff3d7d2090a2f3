"""The stall that a watchdog measures: never longer than it was, and never zero while an engine hangs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.server.stall_watchdog import StallWatchdog

MOMENTS = st.floats(0, 1000)


def test_after_a_step_another_step_or_idle_is_due() -> None:
    watchdog = StallWatchdog(5.0, 0.0)
    watchdog.record_step(60.0)
    assert watchdog.stalled_seconds(100.0, None) == 40.0, "though every client may have left meanwhile"
    watchdog.record_idle(90.0)
    assert watchdog.stalled_seconds(100.0, None) == 0.0


def test_an_idle_engine_has_to_process_a_command() -> None:
    watchdog = StallWatchdog(5.0, 0.0)
    assert watchdog.stalled_seconds(100.0, 98.0) == 2.0
    watchdog.record_idle(50.0)
    assert watchdog.stalled_seconds(100.0, 49.9) == 50.0, "sent before the report of Idle, processed after it"
    watchdog.record_step(99.0)
    assert watchdog.stalled_seconds(100.0, 51.0) == 1.0, "it takes steps"


def test_a_suspended_watchdog_measures_no_stall() -> None:
    watchdog = StallWatchdog(5.0, 0.0)
    for second in range(1, 11):
        watchdog.record_check(float(second))
    watchdog.record_step(10.0)
    watchdog.record_check(3600.0)
    assert watchdog.stalled_seconds(3600.0, 9.0) == 0.0
    watchdog.record_check(3601.0)
    assert watchdog.stalled_seconds(3601.0, 9.0) == 1.0


@pytest.mark.parametrize(("allowed", "seconds"), [(5.0, 0.625), (60.0, 1.0), (0.4, 0.05)])
def test_checks_at_the_given_interval_never_restart_the_timer(allowed: float, seconds: float) -> None:
    watchdog = StallWatchdog(allowed, 0.0)
    assert watchdog.check_interval_seconds == pytest.approx(seconds)
    for check in range(1, 100):
        watchdog.record_check(check * watchdog.check_interval_seconds)
    now = 99 * watchdog.check_interval_seconds
    assert watchdog.stalled_seconds(now, 0.0) == now


@given(MOMENTS, MOMENTS, st.none() | MOMENTS, st.booleans())
def test_no_stall_begins_before_the_last_report(
    began: float,
    reported: float,
    oldest_pending_at: float | None,
    is_working: bool,  # noqa: FBT001
) -> None:
    now = 2000.0
    watchdog = StallWatchdog(5.0, began)
    (watchdog.record_step if is_working else watchdog.record_idle)(reported)
    stalled = watchdog.stalled_seconds(now, oldest_pending_at)
    assert (stalled > 0) == (is_working or oldest_pending_at is not None)
    assert stalled <= now - max(reported, began) or stalled == 0
    assert is_working or oldest_pending_at is None or stalled <= now - oldest_pending_at
