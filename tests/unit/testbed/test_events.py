"""A phase reports its start, its progress and its end or failure."""

from __future__ import annotations

import pytest
from voxfleet_testbed.events import PhaseEvent, ignore, phase


def test_events_can_be_discarded() -> None:
    """Proves that `ignore` accepts an event: no exception is raised."""
    ignore(PhaseEvent("anything", "done"))


def test_a_phase_reports_start_progress_and_end() -> None:
    events: list[PhaseEvent] = []
    with phase(events.append, "build") as progress:
        progress("halfway", 0.5)
    assert [(event.state, event.fraction) for event in events] == [("started", None), ("running", 0.5), ("done", 1.0)]


def test_a_failed_phase_has_the_first_line_of_its_error() -> None:
    events: list[PhaseEvent] = []
    with pytest.raises(ValueError, match="first"), phase(events.append, "build"):
        raise ValueError("first line\nsecond line")
    assert events[-1].state == "failed"
    assert events[-1].detail == "first line"
