"""The supervisor's promises: processes end with the owner, orphans are reaped, stale runs are swept."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import voxfleet_testbed
from voxfleet_testbed.errors import StartError
from voxfleet_testbed.settings import Settings
from voxfleet_testbed.supervision.processes import Process, attach, begin_run
from voxfleet_testbed.supervision.run_folder import RunFolder, find_runs, is_alive
from voxfleet_testbed.supervision.traces import remaining_traces, remove_traces, sweep


def test_a_killed_supervisor_is_swept_by_the_next_run(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    run.start(Process("sleeper", ("sleep", "600")))
    os.kill(int((run.folder.path / "supervisor.pid").read_text()), signal.SIGKILL)
    while is_alive(run.folder):
        time.sleep(0.05)
    # The sleeper is killed with its parent; the folder stays until the next sweep.
    assert run.folder.run_id in sweep(testbed_settings.runs)
    assert remaining_traces(run.folder) == []


def test_a_live_run_is_not_swept(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        assert run.folder.socket.stat().st_mode & 0o077 == 0  # no other user may start programs through it
        assert run.folder.run_id not in sweep(testbed_settings.runs)
        assert run.folder in tuple(find_runs(testbed_settings.runs))
    finally:
        run.close()


def test_a_detached_run_outlives_its_owner(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        run.start(Process("sleeper", ("sleep", "600")))
        run.detach()
        time.sleep(0.5)
        assert attach(run.folder).processes() == {"sleeper": None}
    finally:
        attach(run.folder).close()
    assert remaining_traces(run.folder) == []


def test_orphans_of_a_process_are_reaped(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        run.start(Process("parent", ("sh", "-c", "for i in 1 2 3; do (sleep 0.2 & echo $!); done; sleep 600")))
        run.start(Process("short", ("sh", "-c", "exit 7")))
        deadline = time.monotonic() + 60
        while run.processes() != {"parent": None, "short": 7} and time.monotonic() < deadline:
            time.sleep(0.1)
        while len(orphans := run.log_end("parent").split()) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(orphans) == 3
        # /proc has a zombie too: an orphan's folder disappears only when it was reaped.
        while any(Path("/proc", pid).exists() for pid in orphans) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [pid for pid in orphans if Path("/proc", pid).exists()]
        supervisor = (run.folder.path / "supervisor.pid").read_text()
        command = ["ps", "--no-headers", "-o", "stat=", "--ppid", supervisor]
        states = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert [state for state in states if state.startswith("Z")] == []
        assert run.processes() == {"parent": None, "short": 7}
    finally:
        run.close()


def test_a_program_that_does_not_exist_is_one_clear_line(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        with pytest.raises(StartError, match="cannot start /no/such/program"):
            run.start(Process("nothing", ("/no/such/program",)))
    finally:
        run.close()


def test_a_folder_without_a_lock_is_stale(testbed_settings: Settings) -> None:
    run = RunFolder(testbed_settings.runs / "00000000")
    run.path.mkdir(parents=True, exist_ok=True)
    assert not is_alive(run)
    remove_traces(run)
    assert not run.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unprivileged_users_run_leaves_nothing_either() -> None:
    program = """
import pathlib
from voxfleet_testbed.supervision.processes import Process, begin_run
from voxfleet_testbed.supervision.traces import remaining_traces
run = begin_run(pathlib.Path("{runs}"))
run.start(Process("sleeper", ("sleep", "600")))
run.close()
print(remaining_traces(run.folder))
"""
    python = shutil.which("python3.11", path="/usr/local/bin:/usr/bin")
    if python is None:
        pytest.skip("no python3.11 that another user may run")
    # Not tmp_path: its parents are readable by this user only.
    theirs = Path(tempfile.mkdtemp())
    shutil.copytree(Path(voxfleet_testbed.__file__).parent, theirs / "voxfleet_testbed")
    os.chown(theirs, 54321, 54321)
    finished = subprocess.run(
        [python, "-B", "-c", program.format(runs=theirs / "runs")],
        user=54321,
        group=54321,
        extra_groups=[],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(theirs)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(theirs)
    assert (finished.returncode, finished.stdout) == (0, "[]\n"), finished.stderr


def test_a_process_that_ends_early_is_named_with_the_end_of_its_log(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        run.start(Process("failing", ("sh", "-c", "echo the port is taken; exit 3")))
        with pytest.raises(StartError, match=r"failing ended with status 3:\nthe port is taken"):
            run.wait_until(lambda: False, "failing", timeout_seconds=60)
    finally:
        run.close()
