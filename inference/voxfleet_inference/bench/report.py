"""A run's figures as JSON and as lines to read.

Knows: names, units and columns.
Does not know: where the figures come from.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from voxfleet_inference.bench.outcomes import Spread, Summary

_MS = 1000.0


def as_json(summary: Summary, asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked and what came of it, for programs."""
    measured = asdict(summary) | {"audio_seconds_per_second": summary.audio_seconds_per_second}
    return {"asked": asked, "measured": _rounded(measured)}


def as_table(summary: Summary) -> str:
    """The same for people."""
    failed = sum(summary.errors.values())
    unfinished = f", {summary.unfinished} unfinished" if summary.unfinished else ""
    rows = [
        ("requests", f"{summary.completed} complete, {failed} failed{unfinished}, in {summary.seconds:.1f} s"),
        *((f"  {kind}", str(count)) for kind, count in summary.errors.items()),
        ("first audio", _spread(summary.first_audio_seconds, _MS, "ms")),
        ("real-time factor", _spread(summary.real_time_factor, 1.0, "")),
        (
            "underruns",
            f"{summary.underruns} in {summary.streams_with_underruns} streams, {summary.stalled_seconds:.2f} s in all",
        ),
        ("audio", f"{summary.audio_seconds:.1f} s, {summary.audio_seconds_per_second:.2f} s per second"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _spread(spread: Spread | None, factor: float, unit: str) -> str:
    if spread is None:
        return "none"
    named = zip(("p50", "p95", "p99", "most"), (spread.p50, spread.p95, spread.p99, spread.most), strict=True)
    return "  ".join(f"{name} {value * factor:.4g}" for name, value in named) + (f" {unit}" if unit else "")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return round(value, 6) if isinstance(value, float) else value
