"""The flags of the control plane's programs agree with one another."""

from __future__ import annotations

from pathlib import Path

import pytest
from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.command_lines import Endpoints
from voxfleet_testbed.cluster.local_cluster import cluster_endpoints
from voxfleet_testbed.network.addresses import CANDIDATES, Layout

LONE = Endpoints("127.64.0.1", 1001, 1002, 1003, "10.0.0.0/24", advertised=False)


LAYOUT = Layout(CANDIDATES[0])


CERTIFICATES = Path("/run-folder/certificates")


def flag(command: tuple[str, ...], name: str) -> str:
    values = [word.partition("=")[2] for word in command if word.startswith(f"--{name}=")]
    assert len(values) == 1, f"--{name} stands {len(values)} times"
    return values[0]


def test_the_api_server_uses_etcds_client_url() -> None:
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


@pytest.mark.parametrize(
    ("without", "expected"),
    [((), "*"), (("endpointslice-controller", "job-controller"), "*,-endpointslice-controller,-job-controller")],
)
def test_controllers_are_switched_off_by_name(without: tuple[str, ...], expected: str) -> None:
    command = command_lines.kube_controller_manager(Path("kcm"), Path("/kubeconfig"), CERTIFICATES, LONE, without)
    assert flag(command, "controllers") == expected


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
def test_single_instances_elect_no_leader_and_open_no_port(command: tuple[str, ...]) -> None:
    assert flag(command, "leader-elect") == "false"
    assert flag(command, "secure-port") == "0"
