"""For how long an engine has owed something: never too much, and never nothing while it hangs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.server.stall_watchdog import StallWatchdog

MOMENTS = st.floats(0, 1000)


def test_a_step_is_followed_by_another_or_by_a_rest() -> None:
    watch = StallWatchdog(5.0, 0.0)
    watch.stepped(60.0)
    assert watch.owed_seconds(100.0, None) == 40.0, "though everybody may have left meanwhile"
    watch.rested(90.0)
    assert watch.owed_seconds(100.0, None) == 0.0


def test_an_engine_at_rest_owes_an_answer_to_what_it_is_told() -> None:
    watch = StallWatchdog(5.0, 0.0)
    assert watch.owed_seconds(100.0, 98.0) == 2.0
    watch.rested(50.0)
    assert watch.owed_seconds(100.0, 49.9) == 50.0, "sent before the rest was told, to be obeyed after it"
    watch.stepped(99.0)
    assert watch.owed_seconds(100.0, 51.0) == 1.0, "it works"


def test_whoever_was_stopped_himself_accuses_nobody() -> None:
    watch = StallWatchdog(5.0, 0.0)
    for second in range(1, 11):
        watch.look(float(second))
    watch.stepped(10.0)
    watch.look(3600.0)
    assert watch.owed_seconds(3600.0, 9.0) == 0.0
    watch.look(3601.0)
    assert watch.owed_seconds(3601.0, 9.0) == 1.0


@pytest.mark.parametrize(("allowed", "seconds"), [(5.0, 0.625), (60.0, 1.0), (0.4, 0.05)])
def test_who_looks_as_told_is_never_thought_asleep(allowed: float, seconds: float) -> None:
    watch = StallWatchdog(allowed, 0.0)
    assert watch.look_seconds == pytest.approx(seconds)
    for look in range(1, 100):
        watch.look(look * watch.look_seconds)
    now = 99 * watch.look_seconds
    assert watch.owed_seconds(now, 0.0) == now


@given(MOMENTS, MOMENTS, st.none() | MOMENTS, st.booleans())
def test_nothing_is_owed_since_before_the_last_sign(
    began: float,
    reported: float,
    oldest_pending_at: float | None,
    is_working: bool,  # noqa: FBT001
) -> None:
    now = 2000.0
    watch = StallWatchdog(5.0, began)
    (watch.stepped if is_working else watch.rested)(reported)
    owed = watch.owed_seconds(now, oldest_pending_at)
    assert (owed > 0) == (is_working or oldest_pending_at is not None)
    assert owed <= now - max(reported, began) or owed == 0
    assert is_working or oldest_pending_at is None or owed <= now - oldest_pending_at
