from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.bench.outcomes import Percentiles, RequestOutcome, percentiles_of, summary_of
from voxfleet_inference.bench.playback import Arrival

GOOD = RequestOutcome(0.0, 0.0, 2.0, (Arrival(0.5, 1.0), Arrival(2.0, 4.0)))

LATE = RequestOutcome(0.0, 1.0, 3.0, (Arrival(1.5, 1.0), Arrival(3.0, 4.0)))

FULL = RequestOutcome(0.0, 0.0, 0.1, error="503 queue_full")


def test_a_summary_counts_outcomes_and_underruns() -> None:
    summary = summary_of([GOOD, LATE, FULL, FULL], 4.0, unfinished=3)
    assert (summary.completed, summary.errors, summary.unfinished) == (2, {"503 queue_full": 2}, 3)
    assert summary.audio_seconds_per_second == 2.0
    assert (summary.underruns, summary.streams_with_underruns, summary.stalled_seconds) == (2, 2, 1.0)
    assert summary.real_time_factor == Percentiles(0.5, 0.5, 0.5, 0.5)


def test_latency_counts_from_the_due_time() -> None:
    summary = summary_of([LATE], 4.0)
    assert summary.first_audio_seconds == Percentiles(1.5, 1.5, 1.5, 1.5)
    assert summary.latest_start_seconds == 1.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_percentiles_are_values_at_their_nearest_rank(values: list[float]) -> None:
    found_at = percentiles_of(values)
    assert found_at is not None
    for share, found in ((0.5, found_at.p50), (0.95, found_at.p95), (0.99, found_at.p99), (1.0, found_at.max)):
        assert found in values
        assert sum(value <= found for value in values) >= share * len(values)
        assert sum(value < found for value in values) < share * len(values)
