from __future__ import annotations

import pytest
from voxfleet_inference.bench.schedule import Plan, due_times


def test_due_times_follow_the_rate_and_repeat_with_the_seed() -> None:
    plan = Plan(concurrency=1, seconds=1000.0, rate=5.0, seed=1)
    times = list(due_times(plan))
    assert times == list(due_times(plan)) == sorted(times)
    assert times[-1] < 1000.0
    assert len(times) == pytest.approx(5000, rel=0.05)
    assert len(list(due_times(Plan(concurrency=1, requests=7, rate=5.0)))) == 7
