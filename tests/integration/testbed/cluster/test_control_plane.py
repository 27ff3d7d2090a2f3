"""A control plane starts fast, runs next to another, and leaves no trace however its owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from voxfleet_testbed.cluster.control_plane import ControlPlane, running_control_plane
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import CONTROL_PLANE_PROGRAMS
from voxfleet_testbed.settings import Settings
from voxfleet_testbed.supervision.run_folder import RunFolder
from voxfleet_testbed.supervision.traces import remaining_traces, run_processes

GOAL_SECONDS = 10.0
TOLERANCE = 10.0  # a machine that runs other tests may be ten times slower
GONE_SECONDS = 90.0
OWNER = """
import signal, sys, time
from voxfleet_testbed.cluster.control_plane import start_control_plane
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores SIGINT
started = start_control_plane()
print(started.run.folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def _built(testbed_settings: Settings) -> None:
    """Build the programs first, so that no test measures the build."""
    with skipping(testbed_settings):
        build(find_programs(testbed_settings), CONTROL_PLANE_PROGRAMS)


def wait_until_gone(run: RunFolder) -> list[str]:
    """Wait for the supervisor to remove a run; returns the traces that remain at the deadline."""
    deadline = time.monotonic() + GONE_SECONDS
    while (traces := remaining_traces(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return traces


def test_it_is_ready_within_the_documented_time(testbed_settings: Settings) -> None:
    started = time.monotonic()
    with running_control_plane(testbed_settings) as control_plane:
        assert time.monotonic() - started < GOAL_SECONDS * TOLERANCE
        assert control_plane.api.is_ready()


def test_the_api_server_stores_an_object(control_plane: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/configmaps/kept"
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "1"}}
    control_plane.api.apply(path, manifest)
    assert control_plane.api.get(path)["data"] == {"a": "1"}
    control_plane.api.delete(path)


def test_controllers_make_the_default_service_account(control_plane_with_controllers: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    account = control_plane_with_controllers.api.wait_for(path, bool, timeout_seconds=60)
    assert account["metadata"]["name"] == "default"


def test_objects_survive_an_outage_of_the_api_server(testbed_settings: Settings) -> None:
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
