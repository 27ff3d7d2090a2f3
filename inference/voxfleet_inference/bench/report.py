"""The statistics of a run as JSON and as a table.

Knows: names, units and columns.
Does not know: how they were measured.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from voxfleet_inference.bench.outcomes import Percentiles, Summary

_MS_PER_SECOND: Final = 1000.0


def as_json(summary: Summary, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run and its statistics, as --json writes them."""
    measured = asdict(summary) | {"audio_seconds_per_second": summary.audio_seconds_per_second}
    return {"parameters": parameters, "measured": _rounded(measured)}


def as_table(summary: Summary) -> str:
    """Return the statistics as lines of text."""
    failed = sum(summary.errors.values())
    unfinished = f", {summary.unfinished} unfinished" if summary.unfinished else ""
    rows = [
        ("requests", f"{summary.completed} complete, {failed} failed{unfinished}, in {summary.seconds:.1f} s"),
        *((f"  {kind}", str(count)) for kind, count in summary.errors.items()),
        ("first audio", _percentiles(summary.first_audio_seconds, _MS_PER_SECOND, "ms")),
        ("real-time factor", _percentiles(summary.real_time_factor, 1.0, "")),
        (
            "underruns",
            f"{summary.underruns} in {summary.streams_with_underruns} streams, {summary.stalled_seconds:.2f} s stalled",
        ),
        ("audio", f"{summary.audio_seconds:.1f} s, {summary.audio_seconds_per_second:.2f} s per second"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _percentiles(values: Percentiles | None, factor: float, unit: str) -> str:
    if values is None:
        return "none"
    named = asdict(values).items()
    return "  ".join(f"{name} {value * factor:.4g}" for name, value in named) + (f" {unit}" if unit else "")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    # Microseconds: further digits are noise.
    return round(value, 6) if isinstance(value, float) else value
