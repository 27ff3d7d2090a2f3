"""Command lines and configuration files as values."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.command_lines import Endpoints
from voxfleet_testbed.cluster.local_cluster import cluster_endpoints
from voxfleet_testbed.cluster.memory import available_bytes, has_memory_to_spare
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
from voxfleet_testbed.network import dns
from voxfleet_testbed.network.addresses import CANDIDATES, Layout
from voxfleet_testbed.network.links import Network, bridge_commands, cluster_commands, host_commands

LONE = Endpoints("127.64.0.1", 1001, 1002, 1003, "10.0.0.0/24", advertised=False)
LAYOUT = Layout(CANDIDATES[0])
PATHS = NodePaths(Path("/run-folder/nodes/eu-1"))
CERTIFICATES = Path("/run-folder/certificates")


def flag(command: tuple[str, ...], name: str) -> str:
    values = [word.partition("=")[2] for word in command if word.startswith(f"--{name}=")]
    assert len(values) == 1, f"--{name} stands {len(values)} times"
    return values[0]


def test_etcd_and_the_api_server_meet() -> None:
    etcd = command_lines.etcd(Path("etcd"), Path("/data"), LONE)
    api = command_lines.kube_apiserver(Path("kube-apiserver"), CERTIFICATES, LONE)
    assert flag(etcd, "listen-client-urls") == flag(api, "etcd-servers") == "http://127.64.0.1:1001"


def test_etcd_listens_on_one_address_only() -> None:
    etcd = command_lines.etcd(Path("etcd"), Path("/data"), LONE)
    assert all("127.64.0.1" in word for word in etcd if "http://" in word)


def test_a_lone_api_server_is_not_published_to_pods() -> None:
    api = command_lines.kube_apiserver(Path("kube-apiserver"), CERTIFICATES, LONE)
    assert flag(api, "endpoint-reconciler-type") == "none"


def test_a_clusters_api_server_advertises_an_address_that_pods_reach() -> None:
    endpoints = cluster_endpoints(LAYOUT)
    api = command_lines.kube_apiserver(Path("kube-apiserver"), CERTIFICATES, endpoints)
    assert flag(api, "advertise-address") == LAYOUT.cluster
    assert flag(api, "endpoint-reconciler-type") == "lease"
    assert flag(api, "service-cluster-ip-range") == str(LAYOUT.services)
    assert command_lines.first_service_address(endpoints) == LAYOUT.kubernetes_service


def test_api_server_and_controllers_agree_on_service_accounts() -> None:
    api = command_lines.kube_apiserver(Path("kube-apiserver"), CERTIFICATES, LONE)
    controllers = command_lines.kube_controller_manager(Path("kcm"), Path("/kubeconfig"), CERTIFICATES, LONE)
    signing = flag(api, "service-account-signing-key-file")
    assert signing == flag(controllers, "service-account-private-key-file")
    assert flag(controllers, "service-cluster-ip-range") == "10.0.0.0/24"


@pytest.mark.parametrize(
    "command",
    [
        command_lines.kube_controller_manager(Path("kcm"), Path("/kubeconfig"), CERTIFICATES, LONE),
        command_lines.kube_scheduler(Path("scheduler"), Path("/kubeconfig")),
    ],
)
def test_who_is_alone_elects_no_leader_and_opens_no_port(command: tuple[str, ...]) -> None:
    assert flag(command, "leader-elect") == "false"
    assert flag(command, "secure-port") == "0"


def test_containerd_shares_nothing_with_another() -> None:
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


def test_a_node_says_region_zone_and_the_callers_labels() -> None:
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


def test_dns_service_and_endpoints_fit_together() -> None:
    service, endpoints = dns.service(LAYOUT.dns_service), dns.endpoint_slice(LAYOUT.cluster)
    assert [port["name"] for port in service["spec"]["ports"]] == [port["name"] for port in endpoints["ports"]]
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
    assert {port["port"] for port in endpoints["ports"]} == {dns.PORT}


def test_the_corefile_answers_on_one_address() -> None:
    text = dns.corefile("10.64.0.2", Path("/kubeconfig"), "here")
    assert "bind 10.64.0.2" in text
    assert "kubeconfig /kubeconfig here" in text
    assert text.count("{") == text.count("}")


def test_the_route_that_marks_the_network_comes_with_the_link() -> None:
    commands = list(host_commands(LAYOUT, "vf12345678", 42))
    assert commands[0][:4] == ("ip", "link", "add", "vf12345678")
    assert ("ip", "route", "add", "10.64.0.0/16", "via", "10.64.0.2", "dev", "vf12345678", "onlink") in commands


def test_inside_the_cluster_packets_are_forwarded_and_leave_by_the_link() -> None:
    commands = list(cluster_commands(LAYOUT))
    assert ("ip", "route", "add", "default", "via", LAYOUT.host) in commands
    assert any("net.ipv4.ip_forward=1" in command for command in commands)


def test_a_bridge_has_the_nodes_address() -> None:
    assert ("ip", "address", "add", "10.64.1.1/24", "dev", "node1") in list(bridge_commands("node1", "10.64.1.1"))


def test_commands_enter_the_namespace_of_the_pin() -> None:
    assert Network(LAYOUT, 42).enter(("ip", "link")) == ("nsenter", "--net=/proc/42/ns/net", "--", "ip", "link")


@pytest.mark.parametrize(
    ("meminfo", "spare"),
    [
        ("MemTotal: 25165824 kB\nMemAvailable:   20971520 kB\n", True),
        ("MemTotal: 25165824 kB\nMemAvailable:   6291456 kB\n", True),
        ("MemTotal: 25165824 kB\nMemAvailable:   6291455 kB\n", False),
        ("MemTotal: 25165824 kB\n", False),
    ],
)
def test_images_are_kept_in_memory_only_where_there_is_plenty(meminfo: str, spare: bool) -> None:  # noqa: FBT001
    assert has_memory_to_spare(meminfo) is spare
    assert available_bytes(meminfo) >= 0
