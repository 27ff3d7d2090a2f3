"""The command line: what `status` lists, what `down` ends and leaves, what `up` prints when it fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner
from voxfleet_testbed import cli
from voxfleet_testbed.settings import read_settings
from voxfleet_testbed.supervision.processes import Process, Run, begin_run
from voxfleet_testbed.supervision.run_folder import create_run, is_alive
from voxfleet_testbed.supervision.traces import remaining_traces


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder for this test only, so that `down --all` ends no other test's run."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return read_settings().runs


@pytest.fixture
def attached(runs: Path) -> Iterator[Run]:
    """A run as a test session has it."""
    run = begin_run(runs)
    run.start(Process("sleeper", ("sleep", "600")))
    yield run
    run.close()


@pytest.fixture
def detached(runs: Path) -> Iterator[Run]:
    """A run as `up` leaves it."""
    run = begin_run(runs)
    run.start(Process("sleeper", ("sleep", "600")))
    run.folder.describe(detached=True, server="https://10.64.0.2:6443", nodes={"eu-central-1": "eu-central"})
    run.detach()
    yield run
    run.close()


def invoke(*arguments: str) -> str:
    answer = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_status_lists_runs_with_their_nodes_and_processes(attached: Run, detached: Run) -> None:
    output = invoke("status")
    assert attached.folder.run_id in output
    assert detached.folder.run_id in output
    assert "eu-central-1" in output
    assert "1 running" in output


def test_status_names_a_process_that_ended(attached: Run) -> None:
    attached.start(Process("failing", ("false",)))
    attached.wait_until(lambda: attached.processes()["failing"] is not None, "sleeper", 60)
    assert "ended: failing" in " ".join(invoke("status").split())


def test_down_ends_what_up_started_and_no_test_run(attached: Run, detached: Run) -> None:
    assert f"ended {detached.folder.run_id}" in invoke("down")
    assert remaining_traces(detached.folder) == []
    assert is_alive(attached.folder)


def test_down_all_ends_everything(attached: Run, detached: Run) -> None:
    invoke("down", "--all")
    assert not is_alive(attached.folder)
    assert not is_alive(detached.folder)


def test_down_ends_one_run_by_its_name(attached: Run, detached: Run) -> None:
    invoke("down", attached.folder.run_id)
    assert not is_alive(attached.folder)
    assert is_alive(detached.folder)


def test_down_removes_the_remains_of_a_killed_supervisor(runs: Path) -> None:
    run, lock = create_run(runs)
    os.close(lock)
    assert f"removed the remains of {run.run_id}" in invoke("down")
    assert not run.path.exists()


def test_up_without_root_is_one_line_and_starts_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    answer = CliRunner().invoke(cli.app, ["up"])
    assert answer.exit_code == 1
    assert "needs root" in answer.output  # for its packages, or for its networks
    assert not runs.exists() or list(runs.glob("[0-9a-f]*")) == []


def test_build_prints_a_programs_path() -> None:
    assert "/programs/pause-" in invoke("build", "pause")
