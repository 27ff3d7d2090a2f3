from __future__ import annotations

import json

from voxfleet_inference.bench.outcomes import RequestOutcome, summary_of
from voxfleet_inference.bench.playback import Arrival
from voxfleet_inference.bench.report import as_json, as_table

GOOD = RequestOutcome(0.0, 0.0, 2.0, (Arrival(0.5, 1.0), Arrival(2.0, 4.0)))

FULL = RequestOutcome(0.0, 0.0, 0.1, error="503 queue_full")


def test_a_run_without_audio_shows_none() -> None:
    summary = summary_of([FULL], 1.0)
    assert summary.first_audio_seconds is None
    assert "first audio" in as_table(summary)
    assert "none" in as_table(summary)
    assert "503 queue_full" in as_table(summary)


def test_json_and_table_show_the_same_statistics() -> None:
    results = json.loads(json.dumps(as_json(summary_of([GOOD], 4.0), {"url": "u"})))
    assert results["parameters"] == {"url": "u"}
    assert results["measured"]["first_audio_seconds"] == {"p50": 0.5, "p95": 0.5, "p99": 0.5, "max": 0.5}
    assert results["measured"]["audio_seconds_per_second"] == 1.0
    assert "500" in as_table(summary_of([GOOD], 4.0))
