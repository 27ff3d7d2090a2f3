from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.bench.outcomes import Percentiles, RequestOutcome, percentiles_of, summary_of
from voxfleet_inference.bench.playback import Arrival
from voxfleet_inference.bench.report import as_json, as_table
from voxfleet_inference.bench.schedule import Plan, due_times

GOOD = RequestOutcome(0.0, 0.0, 2.0, (Arrival(0.5, 1.0), Arrival(2.0, 4.0)))
LATE = RequestOutcome(0.0, 1.0, 3.0, (Arrival(1.5, 1.0), Arrival(3.0, 4.0)))
FULL = RequestOutcome(0.0, 0.0, 0.1, error="503 queue_full")


def test_a_summary_counts_what_happened() -> None:
    summary = summary_of([GOOD, LATE, FULL, FULL], 4.0, unfinished=3)
    assert (summary.completed, summary.errors, summary.unfinished) == (2, {"503 queue_full": 2}, 3)
    assert summary.audio_seconds_per_second == 2.0
    assert (summary.underruns, summary.streams_with_underruns, summary.stalled_seconds) == (2, 2, 1.0)
    assert summary.real_time_factor == Percentiles(0.5, 0.5, 0.5, 0.5)


def test_a_client_that_sends_late_does_not_make_the_server_look_quick() -> None:
    summary = summary_of([LATE], 4.0)
    assert summary.first_audio_seconds == Percentiles(1.5, 1.5, 1.5, 1.5)
    assert summary.latest_start_seconds == 1.0


def test_a_run_in_which_nothing_was_heard_says_none() -> None:
    summary = summary_of([FULL], 1.0)
    assert summary.first_audio_seconds is None
    assert "first audio" in as_table(summary)
    assert "none" in as_table(summary)
    assert "503 queue_full" in as_table(summary)


def test_json_holds_what_the_table_shows() -> None:
    results = json.loads(json.dumps(as_json(summary_of([GOOD], 4.0), {"url": "u"})))
    assert results["parameters"] == {"url": "u"}
    assert results["measured"]["first_audio_seconds"] == {"p50": 0.5, "p95": 0.5, "p99": 0.5, "max": 0.5}
    assert results["measured"]["audio_seconds_per_second"] == 1.0
    assert "500" in as_table(summary_of([GOOD], 4.0))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_percentiles_are_measured_values_that_so_many_do_not_exceed(values: list[float]) -> None:
    found_at = percentiles_of(values)
    assert found_at is not None
    for share, found in ((0.5, found_at.p50), (0.95, found_at.p95), (0.99, found_at.p99), (1.0, found_at.max)):
        assert found in values
        assert sum(value <= found for value in values) >= share * len(values)
        assert sum(value < found for value in values) < share * len(values)


def test_an_open_loops_requests_come_as_often_as_asked_and_the_same_way_again() -> None:
    plan = Plan(concurrency=1, seconds=1000.0, rate=5.0, seed=1)
    moments = list(due_times(plan))
    assert moments == list(due_times(plan)) == sorted(moments)
    assert moments[-1] < 1000.0
    assert len(moments) == pytest.approx(5000, rel=0.05)
    assert len(list(due_times(Plan(concurrency=1, requests=7, rate=5.0)))) == 7
