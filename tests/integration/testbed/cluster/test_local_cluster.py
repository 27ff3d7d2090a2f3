"""A cluster: pods on two nodes, names and Services between them, reachable from this machine, removed completely."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from voxfleet_testbed.cluster.cgroups import processes_in
from voxfleet_testbed.cluster.local_cluster import REGIONAL_NODES, Cluster, start_cluster
from voxfleet_testbed.cluster.node_files import NodePlan
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.images.mounts import Mount
from voxfleet_testbed.images.project import build_base_archive
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import CLUSTER_PROGRAMS
from voxfleet_testbed.programs.packages import require_cluster_prerequisites
from voxfleet_testbed.settings import Settings
from voxfleet_testbed.supervision.run_folder import RunFolder
from voxfleet_testbed.supervision.traces import remaining_traces, run_processes

pytestmark = pytest.mark.cluster

POD_SECONDS = 180.0
GONE_SECONDS = 90.0
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SERVE = "import http.server; http.server.test(HandlerClass=http.server.SimpleHTTPRequestHandler, port=8000)"
FETCH = "import urllib.request; print(urllib.request.urlopen('http://web.default:8000/testbed/shared/word').read())"
OWNER = """
import sys, time
from voxfleet_testbed.cluster.local_cluster import start_cluster
from voxfleet_testbed.settings import read_settings
cluster = start_cluster()
print(cluster.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def base_image(testbed_settings: Settings) -> tuple[str, Path]:
    with skipping(testbed_settings):
        require_cluster_prerequisites()
        build(find_programs(testbed_settings), CLUSTER_PROGRAMS)
        return build_base_archive(testbed_settings)


@pytest.fixture(scope="module")
def bare_cluster(
    testbed_settings: Settings, base_image: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two nodes with the base image and one mounted folder."""
    shared = tmp_path_factory.mktemp("shared")
    shared.chmod(0o755)  # pods run as another user
    (shared / "word").write_text("hello from this machine")
    nodes = (REGIONAL_NODES[0], NodePlan("us-east-1", "us-east", gpus=4))
    cluster = start_cluster(testbed_settings, nodes=nodes, mounts=(Mount(shared, "/testbed/shared"),))
    try:
        cluster.load_images([base_image[1]])
        yield cluster
    finally:
        cluster.close()


def pod(name: str, image: str, region: str, program: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", program],
        "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 65532},
        "workingDir": "/",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeSelector": {"topology.kubernetes.io/region": region},
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def has_phase(wanted: str) -> Any:
    return lambda seen: seen["status"]["phase"] == wanted


def has_restarted(seen: Any) -> bool:
    return any(each["restartCount"] and each["ready"] for each in seen["status"]["containerStatuses"])


@pytest.fixture(scope="module")
def web(bare_cluster: Cluster, base_image: tuple[str, Path]) -> dict[str, Any]:
    """A web server in eu-central behind a Service; returns the Service."""
    api = bare_cluster.api
    api.apply(f"{PODS}/web", pod("web", base_image[0], "eu-central", SERVE))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 8000}]},
    }
    applied: dict[str, Any] = api.apply(f"{SERVICES}/web", service)
    api.wait_for(f"{PODS}/web", has_phase("Running"), POD_SECONDS)
    return applied


def fetch_within(url: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a cluster of ours
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_nodes_have_their_regions_label(bare_cluster: Cluster) -> None:
    nodes = bare_cluster.api.get("/api/v1/nodes")["items"]
    regions = {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/region"] for node in nodes}
    assert regions == {"eu-central-1": "eu-central", "us-east-1": "us-east"}


def test_gpus_are_advertised_where_planned(bare_cluster: Cluster) -> None:
    node = bare_cluster.api.wait_for(
        "/api/v1/nodes/us-east-1", lambda seen: "nvidia.com/gpu" in seen["status"]["allocatable"], POD_SECONDS
    )
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    other = bare_cluster.api.get("/api/v1/nodes/eu-central-1")
    assert "nvidia.com/gpu" not in other["status"]["capacity"]


def test_this_machine_reaches_a_service_by_its_address(web: dict[str, Any]) -> None:
    url = f"http://{web['spec']['clusterIP']}:8000/testbed/shared/word"
    assert fetch_within(url, POD_SECONDS) == "hello from this machine"


def test_this_machine_reaches_a_pod_by_its_address(bare_cluster: Cluster, web: dict[str, Any]) -> None:
    assert web
    address = bare_cluster.api.get(f"{PODS}/web")["status"]["podIP"]
    assert fetch_within(f"http://{address}:8000/testbed/shared/word", POD_SECONDS) == "hello from this machine"


def test_a_pod_on_the_other_node_finds_the_service_by_name(
    bare_cluster: Cluster, base_image: tuple[str, Path], web: dict[str, Any]
) -> None:
    assert web
    api = bare_cluster.api
    api.apply(f"{PODS}/caller", pod("caller", base_image[0], "us-east", FETCH))
    seen = api.wait_for(f"{PODS}/caller", lambda it: it["status"]["phase"] in {"Succeeded", "Failed"}, POD_SECONDS)
    log = api.get(f"{PODS}/caller/log")
    assert seen["status"]["phase"] == "Succeeded", log
    assert "hello from this machine" in log


def test_a_pod_of_the_same_node_reaches_the_service_too(
    bare_cluster: Cluster, base_image: tuple[str, Path], web: dict[str, Any]
) -> None:
    assert web
    api = bare_cluster.api
    api.apply(f"{PODS}/neighbour", pod("neighbour", base_image[0], "eu-central", FETCH))
    seen = api.wait_for(f"{PODS}/neighbour", lambda it: it["status"]["phase"] in {"Succeeded", "Failed"}, POD_SECONDS)
    assert seen["status"]["phase"] == "Succeeded", api.get(f"{PODS}/neighbour/log")


def test_a_crashed_node_closes_no_connection_and_a_reboot_starts_its_pods_again(
    bare_cluster: Cluster, base_image: tuple[str, Path]
) -> None:
    api, (_, node) = bare_cluster.api, bare_cluster.nodes
    manifest = pod("lasting", base_image[0], "us-east", SERVE)
    manifest["spec"]["restartPolicy"] = "Always"
    api.apply(f"{PODS}/lasting", manifest)
    address = api.wait_for(f"{PODS}/lasting", has_phase("Running"), POD_SECONDS)["status"]["podIP"]
    fetch_within(f"http://{address}:8000/", POD_SECONDS)
    with socket.create_connection((address, 8000), timeout=30) as connection:
        assert processes_in(node.cgroup_root)
        node.crash()
        bare_cluster.control_plane.run.wait_until(lambda: not processes_in(node.cgroup_root), node.bridge, POD_SECONDS)
        connection.settimeout(3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    with pytest.raises(OSError, match="timed out"):
        socket.create_connection((address, 8000), timeout=3)
    node.reboot()
    seen = api.wait_for(f"{PODS}/lasting", has_restarted, POD_SECONDS)
    fetch_within(f"http://{seen['status']['podIP']}:8000/", POD_SECONDS)


def test_a_deleted_pod_is_gone(bare_cluster: Cluster, base_image: tuple[str, Path]) -> None:
    api = bare_cluster.api
    api.apply(f"{PODS}/short", pod("short", base_image[0], "us-east", "import time; time.sleep(600)"))
    api.wait_for(f"{PODS}/short", has_phase("Running"), POD_SECONDS)
    api.delete(f"{PODS}/short")
    deadline = time.monotonic() + POD_SECONDS
    with pytest.raises(ApiError, match="404"):  # noqa: PT012 - polled until it is gone
        while time.monotonic() < deadline:
            api.get(f"{PODS}/short")
            time.sleep(0.2)


def test_a_killed_owners_cluster_is_removed(testbed_settings: Settings, bare_cluster: Cluster) -> None:
    """Another cluster's owner is killed with SIGKILL: its cluster leaves nothing, the first one still runs."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        run = RunFolder(testbed_settings.runs / Path(owner.stdout.readline().strip()).name)
        assert len(run_processes(run)) > 8
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + GONE_SECONDS
    while (traces := remaining_traces(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert traces == []
    assert len(bare_cluster.api.get("/api/v1/nodes")["items"]) == 2


def test_close_leaves_nothing_even_with_pods_running(testbed_settings: Settings, base_image: tuple[str, Path]) -> None:
    cluster = start_cluster(testbed_settings, nodes=REGIONAL_NODES[:1])
    try:
        cluster.load_images([base_image[1]])
        name = f"{PODS}/runner"
        cluster.api.apply(name, pod("runner", base_image[0], "eu-central", "import time; time.sleep(600)"))
        cluster.api.wait_for(name, has_phase("Running"), POD_SECONDS)
        before = remaining_traces(cluster.control_plane.run.folder)
        assert {trace.split()[0] for trace in before} >= {"process", "mount", "cgroup", "interface", "folder"}
    finally:
        cluster.close()
    assert remaining_traces(cluster.control_plane.run.folder) == []
    assert not [name for name in os.listdir("/var/log/containers") if "runner" in name]  # noqa: PTH208
