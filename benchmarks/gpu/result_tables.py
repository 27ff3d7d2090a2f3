"""Tables of the results, with the goals next to them.

Knows: the structure of results, and the goals for an H200 (on other devices they show the distance to one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

Results = dict[str, Any]
PARTS_OF_A_STEP = ("solver", "codec", "encoder", "lms")


def tables(values: Results) -> list[str]:
    """Return the lines of all tables."""
    sections: tuple[Callable[[Results], Iterator[str]], ...] = (_steps, _streams, _single, _goals, _failures)
    return [line for section in sections for line in section(values)]


def rows_of(values: Results, part: str) -> list[Results]:
    """Return the rows of a part without errors."""
    return [row for row in values.get(part, {}).get("rows", []) if "error" not in row]


def _row(values: Results, part: str, key: str, size: int) -> Results:
    return next((row for row in rows_of(values, part) if row[key] == size), {})


def _steps(values: Results) -> Iterator[str]:
    yield f"\n{'rows  step ms  audio x  plain ms  kernels':40}{''.join(f'{part:>9}' for part in PARTS_OF_A_STEP)}"
    for row in rows_of(values, "steps"):
        plain = _row(values, "plain", "rows", row["rows"]).get("step_ms", math.nan)
        kernels = _row(values, "profile", "rows", row["rows"]).get("step", {}).get("kernels") or 0
        parts = "".join(f"{row['part_ms'].get(part, math.nan):9.2f}" for part in PARTS_OF_A_STEP)
        step = f"{row['rows']:4d}  {row['step_ms']:7.2f}  {row['times_real_time']:7.0f}"
        yield f"{step}  {plain:8.2f}  {kernels:7d} {parts}"


def _streams(values: Results) -> Iterator[str]:
    yield "\nstreams  first audio ms p50 / p95  RTF    underruns"
    for row in rows_of(values, "streams"):
        yield (
            f"{row['streams']:7d}  {row['first_audio_ms_p50']:12.1f} / {row['first_audio_ms_p95']:6.1f}"
            f"  {row['rtf_worst']:10.4f}  {row['underruns']:5d}"
        )


def _single(values: Results) -> Iterator[str]:
    text = values.get("text", {})
    if "seconds" in text:
        yield f"\n{text['characters']} characters, {text['patches']} patches: whole in {text['seconds']:.2f} s"
    for name in ("reference", "parity"):
        for what, value in values.get(name, {}).items():
            yield f"{name} {what}: {value}"


def _goals(values: Results) -> Iterator[str]:
    """Print the design goals; one without a result has no verdict."""
    yield f"\n{'goal on an H200':58}{'goal':>8}{'next':>8}{'found':>10}"
    for what, goal, following, found in goals(values):
        verdict = "" if found is None else "  yes" if found <= goal else "  NO"
        shown = "-" if found is None else f"{found:.3g}"
        yield f"{what:58}{goal:8.3g}{'' if following is None else f'{following:.3g}':>8}{shown:>10}{verdict}"


def goals(values: Results) -> list[tuple[str, float, float | None, float | None]]:
    """Return name, goal, next goal and result of each; smaller is better in all of them."""
    start = values.get("start", {})
    parity = values.get("parity", {})
    ready = sum(seconds for name, seconds in start.items() if name.endswith("_seconds") and name != "part_seconds")
    codec = parity.get("codec_decibels")
    return [
        ("ms per step, batch 1", 3, 2, _row(values, "steps", "rows", 1).get("step_ms")),
        ("ms per step, batch 32", 7, 5, _row(values, "steps", "rows", 32).get("step_ms")),
        ("first audio ms, 1 stream (p95)", 25, None, _row(values, "streams", "streams", 1).get("first_audio_ms_p95")),
        (
            "first audio ms, 32 streams (p95)",
            100,
            None,
            _row(values, "streams", "streams", 32).get("first_audio_ms_p95"),
        ),
        ("underruns at 64 streams", 0, None, _row(values, "streams", "streams", 64).get("underruns")),
        ("300 characters, 400 patches, seconds", 0.5, None, values.get("text", {}).get("seconds")),
        ("start to ready, seconds (weights made, not read)", 8, None, ready or None),
        ("error of latents against float32, of the plain model's", 1.2, None, parity.get("latents", {}).get("ratio")),
        ("codec's error against float32, decibels", -60, None, None if codec is None else -codec),
    ]


def _failures(values: Results) -> Iterator[str]:
    for part, found in values.items():
        if isinstance(found, dict) and "error" in found:
            yield f"FAILED {part}: {found['error']}"
        if isinstance(found, dict) and found.get("stopped_for_time"):
            yield f"{part}: stopped for time"
        rows = found.get("rows", []) if isinstance(found, dict) else []
        yield from (f"FAILED {part} {row}" for row in rows if "error" in row)
    yield from (f"FAILED start: {each.get('error')}" for each in values.get("failed_starts", []))
