"""Starts the processes that measure parts, and decides from the result file what the next one measures.

Knows: the parts, their time limits, and the modes of a model. Does not know: PyTorch or what is measured, so that no
failure of a measuring process ends this one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from result_file import GRACE_SECONDS, ResultFile, Results, print_line, read

# Seconds after which each part stops with the results it has; together less than TOTAL_SECONDS.
PARTS = {
    "start": 110,
    "parity": 45,
    "steps": 75,
    "streams": 80,
    "text": 30,
    "kernels": 30,
    "contexts": 20,
    "profile": 30,
    "plain": 25,
    "reference": 50,
}
WITHOUT_MODEL = ("reference",)  # the public package, in a process of its own
MODES = ("recorded", "launched", "plain")  # graphs and kernels, kernels alone, neither
NO_DEVICE = 2  # exit status of a process that finds no GPU
LEAST_SECONDS = 15.0  # a new process needs about as long to import and to create the model


@dataclass(frozen=True, slots=True)
class Attempt:
    """The parts, mode and batch size of one process."""

    parts: tuple[str, ...]
    mode: str
    rows: int


def first_attempt(parts: Sequence[str], rows: int) -> Attempt:
    """Return the first process: all parts that need the model, in the fastest mode."""
    mine = tuple(part for part in PARTS if part in parts and part not in WITHOUT_MODEL)
    return Attempt(mine or tuple(parts), MODES[0], rows)


def next_attempt(last: Attempt, parts: Sequence[str], found: Results) -> Attempt | None:
    """Return the process after the last one: the remaining parts, or the same with less if the model did not start."""
    alone = tuple(part for part in WITHOUT_MODEL if part in parts and part not in found)
    failed = found.get("start", {}).get("error")
    if failed and last.parts != alone:
        less = _with_less(last, str(failed))
        return less or (replace(last, parts=alone) if alone else None)
    left = tuple(part for part in last.parts if part not in found)
    if left == last.parts:  # it ended before it measured anything
        return replace(last, parts=alone) if alone and alone != last.parts else None
    return replace(last, parts=left or alone) if left or alone else None


def _with_less(last: Attempt, error: str) -> Attempt | None:
    if "out of memory" in error.lower() and last.rows > 1:
        return replace(last, rows=last.rows // 2)
    if last.mode == MODES[-1]:
        return None
    return replace(last, mode=MODES[MODES.index(last.mode) + 1])


def supervise(command: list[str], into: Path, parts: Sequence[str], rows: int, seconds: float) -> float:
    """Start processes until all parts have results, none can make progress, or time is over; returns the seconds."""
    began = time.monotonic()
    attempt: Attempt | None = first_attempt(parts, rows)
    while attempt is not None:
        left = began + seconds - time.monotonic()
        if left < LEAST_SECONDS:
            print_line(f"no time left for {', '.join(attempt.parts)}")
            break
        status = _ended(command, attempt, left)
        if status == NO_DEVICE:
            break
        record = ResultFile(into)
        _settle(record, attempt, status)
        attempt = next_attempt(attempt, parts, record.values)
        if attempt is not None and "error" in record.values.get("start", {}) and "start" in attempt.parts:
            record.values.setdefault("failed_starts", []).append(record.values.pop("start"))
            record.save("failed_starts", record.values["failed_starts"])
    if read(into):
        ResultFile(into).save("seconds", round(time.monotonic() - began, 1))
    return time.monotonic() - began


def _ended(command: list[str], attempt: Attempt, seconds: float) -> int:
    """Run one process until it ends or its time is over; returns the exit status."""
    more = [f"--parts={','.join(attempt.parts)}", f"--mode={attempt.mode}", f"--rows={attempt.rows}"]
    print_line(f"\n-- {', '.join(attempt.parts)}: {attempt.mode}, up to {attempt.rows} rows, {seconds:.0f} s left")
    process = subprocess.Popen([*command, *more, f"--seconds={seconds:.1f}"], start_new_session=True)
    try:
        return process.wait(timeout=seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        print_line("the time is over")
        return -signal.SIGKILL
    finally:
        if process.poll() is None:  # it is stuck, or this process was interrupted
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _settle(record: ResultFile, attempt: Attempt, status: int) -> None:
    """Set the error of a part that was being measured when its process ended."""
    for part in attempt.parts:
        found = record.values.get(part, {})
        if found.get("running"):
            record.save(part, {**found, "running": False, "error": f"its process ended with status {status}"})
