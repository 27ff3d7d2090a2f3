"""The other gateways are the ready endpoints of the gateways' Service, without this one."""

from typing import Any

import pytest
from voxfleet_gateway.cluster.peers import Peers, peers_path
from voxfleet_gateway.decisions.pods.pod_state import INTERNAL_PORT

SERVICE = ("voxfleet-system", "voxfleet-gateway-eu")


def slice_of(*pods: str, service: str = SERVICE[1], name: str = "s1", **conditions: bool) -> dict[str, Any]:
    endpoints = [
        {
            "addresses": [f"10.0.0.{number}"],
            "conditions": {"ready": True} | conditions,
            "targetRef": {"name": pod},
        }
        for number, pod in enumerate(pods)
    ]
    metadata = {"namespace": SERVICE[0], "name": name, "labels": {"kubernetes.io/service-name": service}}
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 6006}],
        "endpoints": endpoints,
    }


@pytest.fixture
def changes() -> list[int]:
    return []


@pytest.fixture
def peers(changes: list[int]) -> Peers:
    return Peers(SERVICE, "own", 5, lambda: changes.append(1))


def test_until_endpoints_are_known_the_configured_number_counts(peers: Peers) -> None:
    assert (peers.others(), peers.replicas()) == ([], 5)


def test_the_others_are_those_that_are_ready_at_the_internal_port(peers: Peers, changes: list[int]) -> None:
    peers.endpoints.replaced([slice_of("own", "two", "three")])
    assert [(each.ip, each.internal_port) for each in peers.others()] == [
        ("10.0.0.1", INTERNAL_PORT),
        ("10.0.0.2", INTERNAL_PORT),
    ]
    assert peers.replicas() == 3
    assert len(changes) == 1


@pytest.mark.parametrize("conditions", [{"ready": False}, {"terminating": True}])
def test_one_that_is_not_ready_takes_nothing_over(peers: Peers, conditions: dict[str, bool]) -> None:
    peers.endpoints.replaced([slice_of("own"), slice_of("two", name="s2", **conditions)])
    assert (peers.others(), peers.replicas()) == ([], 1)


def test_a_gateway_that_drains_still_knows_the_others(peers: Peers) -> None:
    peers.endpoints.replaced([slice_of("own", ready=False), slice_of("two", name="s2")])
    assert (len(peers.others()), peers.replicas()) == (1, 2)


def test_another_service_of_the_namespace_changes_nothing(peers: Peers, changes: list[int]) -> None:
    peers.endpoints.replaced([slice_of("a", "b", service="voxfleet-gateway")])
    assert (peers.others(), peers.replicas(), changes) == ([], 5, [])
    assert peers_path("ns") == "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"
