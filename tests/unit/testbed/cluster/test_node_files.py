"""containerd's, the kubelet's and CNI's configuration for nodes that share a machine."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from voxfleet_testbed.cluster.node_files import (
    NodePaths,
    NodePlan,
    base_spec,
    containerd_config,
    kubelet_command,
    kubelet_config,
    pod_network,
)
from voxfleet_testbed.images.mounts import Mount
from voxfleet_testbed.network.addresses import CANDIDATES, Layout

LAYOUT = Layout(CANDIDATES[0])


PATHS = NodePaths(Path("/run-folder/nodes/eu-1"))


CERTIFICATES = Path("/run-folder/certificates")


def flag(command: tuple[str, ...], name: str) -> str:
    values = [word.partition("=")[2] for word in command if word.startswith(f"--{name}=")]
    assert len(values) == 1, f"--{name} stands {len(values)} times"
    return values[0]


def test_containerds_paths_are_below_the_node_folder() -> None:
    config = tomllib.loads(containerd_config(PATHS, with_base_spec=False))
    places = [config["root"], config["state"], config["grpc"]["address"]]
    assert all(place.startswith("/run-folder/nodes/eu-1/") for place in places)
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"]
    assert cri["netns_mounts_under_state_dir"]
    assert "base_runtime_spec" not in cri["containerd"]["runtimes"]["runc"]


def test_containerd_starts_containers_from_the_base_spec() -> None:
    config = tomllib.loads(containerd_config(PATHS, with_base_spec=True))
    runc = config["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["runc"]
    assert runc["base_runtime_spec"] == str(PATHS.base_spec)


def test_the_base_spec_keeps_the_default_mounts_and_adds_read_only_ones() -> None:
    default = {"ociVersion": "1.0.2", "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}]}
    spec = base_spec(default, [Mount(Path("/cache/packages"), "/testbed/site-packages")])
    assert spec["ociVersion"] == "1.0.2"
    assert [mount["destination"] for mount in spec["mounts"]] == ["/proc", "/testbed/site-packages"]
    assert "ro" in spec["mounts"][1]["options"]
    assert len(default["mounts"]) == 1


def test_a_kubelet_on_a_shared_machine_evicts_and_collects_nothing() -> None:
    config = json.loads(kubelet_config(PATHS, CERTIFICATES, "/voxfleet-x/eu-1", LAYOUT.dns_service, 10251))
    assert config["evictionHard"] == {}
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["enforceNodeAllocatable"] == []
    assert config["cgroupRoot"] == "/voxfleet-x/eu-1"
    assert config["clusterDNS"] == [LAYOUT.dns_service]
    assert config["podLogsDir"].startswith(str(PATHS.folder))
    assert config["authentication"]["anonymous"] == {"enabled": False}


def test_two_kubelets_ports_differ() -> None:
    ports = [
        {config["port"], config["healthzPort"]}
        for config in (json.loads(kubelet_config(PATHS, CERTIFICATES, "/", "10.64.128.10", 10250 + n)) for n in (1, 2))
    ]
    assert not ports[0] & ports[1]


def test_a_node_has_region_zone_and_the_plans_labels() -> None:
    plan = NodePlan("eu-1", "eu-central", labels={"voxfleet.dev/capacity": "spot"})
    command = kubelet_command(Path("kubelet"), PATHS, Path("/kubeconfig"), plan, "10.64.1.1")
    assert set(flag(command, "node-labels").split(",")) == {
        "topology.kubernetes.io/region=eu-central",
        "topology.kubernetes.io/zone=eu-central-a",
        "voxfleet.dev/capacity=spot",
    }
    assert flag(command, "node-ip") == "10.64.1.1"


def test_the_pod_network_is_the_nodes_own() -> None:
    network = json.loads(pod_network("voxfleet-x-1", "node1", "10.64.1.0/24", Path("/run-folder/leases")))
    bridge = network["plugins"][0]
    assert bridge["bridge"] == "node1"
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.64.1.0/24"}]]
    assert bridge["ipam"]["dataDir"] == "/run-folder/leases"
    assert network["plugins"][1]["type"] == "portmap"
