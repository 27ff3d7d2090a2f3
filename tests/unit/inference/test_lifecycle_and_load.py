from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.server.lifecycle import NEXT_PHASES, Lifecycle, Phase
from voxfleet_inference.telemetry.load import Load, expected_audio_seconds, quantile


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Phase, Phase)))
def test_phases_follow_the_table(before: Phase, after: Phase) -> None:
    entered = Lifecycle(before).entered(after, "why")
    assert entered.phase is (after if after in NEXT_PHASES[before] else before)


def test_only_ready_and_not_draining_is_ready() -> None:
    assert [phase for phase in Phase if Lifecycle(phase).is_ready] == [Phase.READY]
    draining = Lifecycle(Phase.READY).draining(enabled=True)
    assert (draining.state, draining.is_ready) == ("draining", False)
    assert draining.draining(enabled=False).is_ready


def test_a_failure_shows_through_draining_with_its_message() -> None:
    failed = Lifecycle().draining(enabled=True).entered(Phase.FAILED, "model.safetensors is missing")
    assert (failed.state, failed.message) == ("failed", "model.safetensors is missing")


def test_every_state_but_ready_says_why() -> None:
    assert Lifecycle(Phase.READY).message == ""
    for lifecycle in (Lifecycle(), Lifecycle(Phase.WARMING), Lifecycle(Phase.READY, is_draining=True)):
        assert lifecycle.message


def test_production_rate_counts_the_last_ten_seconds() -> None:
    load = Load()
    load.step_done(now=0.0, step_seconds=0.1, audio_seconds=100.0)
    for second in range(90, 100):
        load.step_done(now=float(second), step_seconds=0.2, audio_seconds=0.16)
    assert load.audio_seconds_per_second(100.0) == pytest.approx(0.16, rel=0.01)
    assert load.audio_seconds_per_second(200.0) == 0.0
    assert load.step_seconds_p50 == 0.2


def test_retry_after_is_the_queue_at_the_newest_rate_within_bounds() -> None:
    load = Load()
    assert load.retry_after_seconds(0.0) == 1
    load.queued_audio_seconds = 100.0
    assert load.retry_after_seconds(0.0) == 60
    load.step_done(now=9.0, step_seconds=0.1, audio_seconds=10.0)
    assert load.retry_after_seconds(10.0) == 10


def test_nothing_measured_is_nothing_said() -> None:
    assert Load().step_seconds_p50 is None
    assert Load().first_audio_seconds_p95 is None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert quantile(values, 0.0) == min(values)
    assert quantile(values, 1.0) == max(values)


def test_longer_texts_are_expected_to_take_longer() -> None:
    assert expected_audio_seconds(20) < expected_audio_seconds(200)
