"""A control plane of one's own: quick to start, next to another, and gone without a trace however its owner ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import voxfleet_testbed
from voxfleet_testbed.cluster.control_plane import ControlPlane, running_control_plane
from voxfleet_testbed.errors import StartError
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.network.addresses import free_ports
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import CONTROL_PLANE_PROGRAMS
from voxfleet_testbed.settings import Settings
from voxfleet_testbed.supervision.processes import Process, attach, begin_run
from voxfleet_testbed.supervision.run_folder import RunFolder, find_runs, is_alive
from voxfleet_testbed.supervision.traces import remaining_traces, remove_traces, run_processes, sweep

GOAL_SECONDS = 10.0
LOOSENESS = 10.0
GONE_SECONDS = 90.0
OWNER = """
import signal, sys, time
from voxfleet_testbed.cluster.control_plane import start_control_plane
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have had it ignored
started = start_control_plane()
print(started.run.folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def _built(testbed_settings: Settings) -> None:
    """Building is not what these tests time."""
    with skipping(testbed_settings):
        build(find_programs(testbed_settings), CONTROL_PLANE_PROGRAMS)


def wait_until_gone(run: RunFolder) -> list[str]:
    """Traces vanish a moment after their supervisor was told; returns what still remains."""
    deadline = time.monotonic() + GONE_SECONDS
    while (traces := remaining_traces(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return traces


def test_it_is_ready_within_the_promised_time(testbed_settings: Settings) -> None:
    started = time.monotonic()
    with running_control_plane(testbed_settings) as control_plane:
        assert time.monotonic() - started < GOAL_SECONDS * LOOSENESS
        assert control_plane.api.is_ready()


def test_the_api_server_stores_what_it_is_given(control_plane: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/configmaps/kept"
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "1"}}
    control_plane.api.apply(path, manifest)
    assert control_plane.api.get(path)["data"] == {"a": "1"}
    control_plane.api.delete(path)


def test_controllers_make_the_default_service_account(control_plane_with_controllers: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    account = control_plane_with_controllers.api.wait_for(path, bool, timeout_seconds=60)
    assert account["metadata"]["name"] == "default"


def test_what_was_stored_survives_an_outage_of_the_api_server(testbed_settings: Settings) -> None:
    with running_control_plane(testbed_settings) as control_plane:
        before = control_plane.api.get("/api/v1/namespaces/default")["metadata"]["uid"]
        control_plane.restart_api_server()
        assert control_plane.api.get("/api/v1/namespaces/default")["metadata"]["uid"] == before


def test_two_run_side_by_side(testbed_settings: Settings) -> None:
    with running_control_plane(testbed_settings) as first, running_control_plane(testbed_settings) as second:
        uids = {plane.api.get("/api/v1/namespaces/default")["metadata"]["uid"] for plane in (first, second)}
        assert len(uids) == 2


def test_close_leaves_nothing(testbed_settings: Settings) -> None:
    with running_control_plane(testbed_settings) as control_plane:
        run = control_plane.run.folder
        assert len(run_processes(run)) >= 3  # supervisor, etcd, API server
    assert remaining_traces(run) == []


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_owner_leaves_nothing(ending: signal.Signals, testbed_settings: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        run = RunFolder(testbed_settings.runs / os.path.basename(owner.stdout.readline().strip()))  # noqa: PTH119
        assert run_processes(run)
        owner.send_signal(ending)
    assert wait_until_gone(run) == []


def test_a_killed_supervisor_is_swept_by_the_next_run(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    run.start(Process("sleeper", ("sleep", "600")))
    os.kill(int((run.folder.path / "supervisor.pid").read_text()), signal.SIGKILL)
    while is_alive(run.folder):
        time.sleep(0.05)
    # The sleeper dies with its parent; the folder waits for whoever comes next.
    assert run.folder.run_id in sweep(testbed_settings.runs)
    assert remaining_traces(run.folder) == []


def test_a_run_that_lives_is_not_swept(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        assert run.folder.socket.stat().st_mode & 0o077 == 0  # nobody else may start programs through it
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


def test_a_process_that_ends_early_is_named_with_its_error_output(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        run.start(Process("talker", ("sh", "-c", "echo the port is taken; exit 3")))
        with pytest.raises(StartError, match=r"talker ended with status 3:\nthe port is taken"):
            run.wait_until(lambda: False, "talker", timeout_seconds=60)
    finally:
        run.close()


def test_orphans_of_a_process_are_reaped(testbed_settings: Settings) -> None:
    run = begin_run(testbed_settings.runs)
    try:
        run.start(Process("parent", ("sh", "-c", "for i in 1 2 3; do (sleep 0.2 &); done; sleep 600")))
        run.start(Process("short", ("sh", "-c", "exit 7")))
        deadline = time.monotonic() + 60
        while run.processes() != {"parent": None, "short": 7} and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_without_root_leaves_nothing_either() -> None:
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


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_a_builder_dies_with_its_caller_and_its_children_with_it() -> None:
    program = "from voxfleet_testbed.images.buildah import run_isolated; run_isolated('sh', '-c', 'sleep 731 & sleep 732; true')"
    with subprocess.Popen([sys.executable, "-c", program]) as caller:
        deadline = time.monotonic() + GONE_SECONDS
        while len(sleepers()) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(sleepers()) == 2
        caller.kill()
    while sleepers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sleepers() == []


def sleepers() -> list[str]:
    command = ["pgrep", "--full", "--list-full", "--", "^sleep 73[12]$"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def test_free_ports_differ() -> None:
    assert len(set(free_ports("127.0.0.1", 5))) == 5
