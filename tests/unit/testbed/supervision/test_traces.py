"""Sweeping removes stale runs only, and removing twice is no error."""

from __future__ import annotations

import os
from pathlib import Path

from voxfleet_testbed.supervision.run_folder import create_run, find_runs
from voxfleet_testbed.supervision.traces import remaining_traces, remove_traces, sweep


def test_sweeping_removes_stale_runs_only(tmp_path: Path) -> None:
    dead, dead_lock = create_run(tmp_path)
    living, living_lock = create_run(tmp_path)
    os.close(dead_lock)
    assert sweep(tmp_path) == [dead.run_id]
    assert list(find_runs(tmp_path)) == [living]
    os.close(living_lock)


def test_sweeping_a_missing_folder_does_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nowhere") == []


def test_removing_a_run_twice_is_no_error(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    assert remaining_traces(run) == [f"folder {run.path}"]
    remove_traces(run)
    remove_traces(run)
    assert remaining_traces(run) == []
