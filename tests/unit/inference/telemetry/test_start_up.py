"""The parts of a server's start, and when the kernel started a process."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.telemetry.start_up import NOT_STARTED, StartUp, process_started_at, started_seconds

TICKS = 100
BEHIND_NAME = "S 1 2 3 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 3 0"  # fields 3 to 21 of proc_pid_stat(5)
seconds = st.floats(0, 1e6, allow_nan=False)


@given(seconds, st.lists(st.floats(0, 1e4), min_size=4, max_size=4))
def test_the_parts_add_up_to_the_time_since_the_process_started(began: float, parts: list[float]) -> None:
    ends = [began + sum(parts[: count + 1]) for count in range(4)]
    report = StartUp(began, *ends[:3]).report(now=ends[3])
    assert sum(report.values()) == pytest.approx(sum(parts), abs=0.01)
    assert min(report.values()) >= 0


def test_a_server_that_was_never_ready_reports_the_same_fields_without_values() -> None:
    assert set(NOT_STARTED) == set(StartUp(0, 1, 2, 3).report(4))
    assert set(NOT_STARTED.values()) == {None}


@pytest.mark.parametrize("name", ["python3", "a b", "a) S 9 (b", "(", ")"])
def test_the_start_is_read_behind_any_name(name: str) -> None:
    assert started_seconds(f"12 ({name}) {BEHIND_NAME} 4250 1024", TICKS) == 42.5


@pytest.mark.parametrize("stat", ["", "12 python3 S 1", f"12 (python3) {BEHIND_NAME}", "1 (x) " + "y " * 30])
def test_another_form_is_an_error_and_not_a_time(stat: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        started_seconds(stat, TICKS)


def test_a_process_knows_when_it_started() -> None:
    code = "import voxfleet_inference.telemetry.start_up as s; print(s.process_started_at())"
    before = time.monotonic()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert before - 0.1 <= float(printed) <= time.monotonic()
    assert process_started_at() <= time.monotonic()
