"""Run folders, cgroups, events, settings and what the command line prints of them."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner
from voxfleet_testbed import cli
from voxfleet_testbed.cluster.cgroups import make_cgroup
from voxfleet_testbed.errors import ApiError, BuildError, StartError, TestbedError, UnavailableError
from voxfleet_testbed.events import PhaseEvent, phase
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.phase_display import finished_line, show_phases
from voxfleet_testbed.settings import read_settings
from voxfleet_testbed.supervision.kernel_settings import NAMES, restore_kernel_settings, save_kernel_settings
from voxfleet_testbed.supervision.run_folder import create_run, find_runs, is_alive
from voxfleet_testbed.supervision.traces import remaining_traces, remove_traces, sweep


def test_a_run_lives_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path / "runs")
    assert is_alive(run)
    os.close(lock)
    assert not is_alive(run)


def test_sweeping_removes_the_dead_and_spares_the_living(tmp_path: Path) -> None:
    dead, dead_lock = create_run(tmp_path)
    living, living_lock = create_run(tmp_path)
    os.close(dead_lock)
    assert sweep(tmp_path) == [dead.run_id]
    assert list(find_runs(tmp_path)) == [living]
    os.close(living_lock)


def test_sweeping_where_nothing_ever_ran_does_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nowhere") == []


def test_the_names_of_a_run_fit_where_they_are_used(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    assert len(run.link_name) <= 15
    assert run.run_id in run.trace_name
    assert int(run.run_id, 16) >= 0


def test_secrets_are_private_from_the_start(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    path = run.write("certificates/admin.key", b"secret", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"secret"


def test_facts_add_up(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    run.describe(server="https://x")
    run.describe(detached=True)
    assert run.facts() == {"server": "https://x", "detached": True}


def test_removing_a_run_twice_is_no_error(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    assert remaining_traces(run) == [f"folder {run.path}"]
    remove_traces(run)
    remove_traces(run)
    assert remaining_traces(run) == []


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(PermissionError, match="belongs to another user; set TMPDIR"):
        create_run(tmp_path)


def test_a_cgroup_is_made_in_every_hierarchy_and_may_run_something(tmp_path: Path) -> None:
    for hierarchy in ("memory", "cpuset"):
        (tmp_path / hierarchy).mkdir()
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (tmp_path / "cpuset" / name).write_text(value)
    make_cgroup("/voxfleet-x/eu-1", tmp_path)
    assert (tmp_path / "memory" / "voxfleet-x" / "eu-1").is_dir()
    assert (tmp_path / "cpuset" / "voxfleet-x" / "eu-1").is_dir()


def test_in_the_unified_hierarchy_controllers_are_handed_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids rdma")
    (tmp_path / "cgroup.subtree_control").write_text("")
    make_cgroup("/voxfleet-x", tmp_path)
    assert (tmp_path / "voxfleet-x").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def kernel(folder: Path, value: str) -> Path:
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    return folder


def test_kernel_settings_come_back_after_the_last_cluster(tmp_path: Path) -> None:
    settings, saved, cgroups = kernel(tmp_path / "sys", "before"), tmp_path / "saved.json", tmp_path / "cgroups"
    save_kernel_settings(settings, saved)
    kernel(settings, "changed by a kubelet")
    save_kernel_settings(settings, saved)
    (cgroups / "memory" / "voxfleet-another").mkdir(parents=True)
    restore_kernel_settings(settings, saved, cgroups)
    assert (settings / NAMES[0]).read_text() == "changed by a kubelet"
    (cgroups / "memory" / "voxfleet-another").rmdir()
    restore_kernel_settings(settings, saved, cgroups)
    assert {(settings / name).read_text() for name in NAMES} == {"before"}
    assert not saved.exists()


def test_without_a_note_nothing_is_restored(tmp_path: Path) -> None:
    settings = kernel(tmp_path / "sys", "as it is")
    restore_kernel_settings(settings, tmp_path / "saved.json", tmp_path)
    assert (settings / NAMES[0]).read_text() == "as it is"


def test_a_phase_tells_start_progress_and_end() -> None:
    events: list[PhaseEvent] = []
    with phase(events.append, "build") as progress:
        progress("halfway", 0.5)
    assert [(event.state, event.fraction) for event in events] == [("started", None), ("running", 0.5), ("done", 1.0)]


def test_a_failed_phase_says_why_in_one_line() -> None:
    events: list[PhaseEvent] = []
    with pytest.raises(ValueError, match="first"), phase(events.append, "build"):
        raise ValueError("first line\nsecond line")
    assert events[-1].state == "failed"
    assert events[-1].detail == "first line"


def test_phases_are_drawn_and_stay_when_done() -> None:
    console = Console(file=io.StringIO(), width=100)
    with show_phases(console) as report, phase(report, "control plane") as progress:
        progress("etcd", None)
        progress("etcd", 0.4)
    assert isinstance(console.file, io.StringIO)
    assert "control plane" in console.file.getvalue()


def test_a_failed_phases_line_says_why() -> None:
    assert "no etcd" in finished_line(PhaseEvent("control plane", "failed", "no etcd", None, 1.5))


def test_settings_have_defaults() -> None:
    settings = read_settings({})
    assert settings.cache == Path.home() / ".cache" / "voxfleet"
    assert settings.kubeconfig is settings.kubebuilder_assets is None
    assert not settings.ci


def test_settings_follow_the_environment(tmp_path: Path) -> None:
    settings = read_settings(
        {"XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path / "t"), "KUBECONFIG": "/k", "CI": "true"}
    )
    assert settings.cache == tmp_path / "voxfleet"
    assert settings.runs.parent == tmp_path / "t"
    assert settings.kubeconfig == Path("/k")
    assert settings.ci


@pytest.mark.parametrize("kind", [UnavailableError, BuildError, StartError])
def test_errors_are_of_one_tree(kind: type[TestbedError]) -> None:
    assert issubclass(kind, TestbedError)
    assert ApiError(409, "taken").status == 409


def test_every_setting_is_documented() -> None:
    documentation = read_settings.__globals__["__doc__"]
    for variable in ("XDG_CACHE_HOME", "TMPDIR", "KUBEBUILDER_ASSETS", "KUBECONFIG", "CI"):
        assert variable in documentation


def test_status_without_a_run_says_so(tmp_path: Path) -> None:
    answer = CliRunner().invoke(cli.app, ["status"], env={"TMPDIR": str(tmp_path)})
    assert answer.exit_code == 0


def test_a_run_that_is_just_starting_is_shown_as_such(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    row = cli.status_row(run, now=100.0)
    os.close(lock)
    assert row == (run.run_id, "0 min", "none", "[yellow]starting or ending[/]", f"starting\n{run.kubeconfig}")


def test_an_error_is_one_line_and_an_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as raised, cli.report_phases():
        raise UnavailableError("missing packages: runc")
    assert raised.value.exit_code == 1
    assert "missing packages: runc" in capsys.readouterr().err


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_what_is_missing_skips_a_test_and_fails_it_under_ci(ci: str, outcome: type[BaseException]) -> None:
    with pytest.raises(outcome, match="needs root"), skipping(read_settings({"CI": ci})):
        raise UnavailableError("a cluster with nodes needs root")


def test_a_log_hears_of_a_long_phase_every_half_minute() -> None:
    written = io.StringIO()
    with show_phases(Console(file=written, force_terminal=False, width=120)) as report:
        report(PhaseEvent("build", "started"))
        for seconds in (29.0, 31.0, 45.0, 62.0):
            report(PhaseEvent("build", "running", "k8s.io/api", 0.25, seconds))
        report(PhaseEvent("build", "done", seconds=70.0))
    lines = [line.split()[:4] for line in written.getvalue().splitlines() if line.strip()]
    assert [words[2] for words in lines] == ["31.0", "62.0", "70.0"]
