"""What `status` prints, and how an expected error ends a command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner
from voxfleet_testbed import cli
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.supervision.run_folder import create_run


def test_status_without_a_run_reports_none(tmp_path: Path) -> None:
    answer = CliRunner().invoke(cli.app, ["status"], env={"TMPDIR": str(tmp_path)})
    assert (answer.exit_code, answer.output) == (0, "no testbed is running\n")


def test_a_starting_run_is_shown_as_starting(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    row = cli.status_row(run, now=100.0)
    os.close(lock)
    assert row == (run.run_id, "0 min", "none", "[yellow]starting or ending[/]", f"starting\n{run.kubeconfig}")


def test_an_error_is_one_line_and_an_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as raised, cli.report_phases():
        raise UnavailableError("missing packages: runc")
    assert raised.value.exit_code == 1
    assert "missing packages: runc" in capsys.readouterr().err
