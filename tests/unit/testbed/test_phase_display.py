"""Phases as lines on a terminal and in a log."""

from __future__ import annotations

import io

from rich.console import Console
from voxfleet_testbed.events import PhaseEvent, phase
from voxfleet_testbed.phase_display import finished_line, show_phases


def test_a_finished_phase_stays_on_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=100)
    with show_phases(console) as report, phase(report, "control plane") as progress:
        progress("etcd", None)
        progress("etcd", 0.4)
    assert isinstance(console.file, io.StringIO)
    assert "control plane" in console.file.getvalue()


def test_a_failed_phases_line_has_its_error() -> None:
    assert "no etcd" in finished_line(PhaseEvent("control plane", "failed", "no etcd", None, 1.5))


def test_a_log_has_a_line_of_a_long_phase_every_half_minute() -> None:
    written = io.StringIO()
    with show_phases(Console(file=written, force_terminal=False, width=120)) as report:
        report(PhaseEvent("build", "started"))
        for seconds in (29.0, 31.0, 45.0, 62.0):
            report(PhaseEvent("build", "running", "k8s.io/api", 0.25, seconds))
        report(PhaseEvent("build", "done", seconds=70.0))
    lines = [line.split()[:4] for line in written.getvalue().splitlines() if line.strip()]
    assert [words[2] for words in lines] == ["31.0", "62.0", "70.0"]
