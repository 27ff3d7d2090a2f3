"""Servers by pool: the operator's names of Deployments, as Kubernetes makes pods' names of them."""

import pytest
from voxfleet_gateway.decisions.fleet.pools import PoolCount, pool_counts
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, PodState, ReceivedReport
from voxfleet_operator import names


def pod_name(deployment: str) -> str:
    """As a ReplicaSet makes it: 58 characters of its own name and a hyphen, then five drawn ones."""
    return f"{deployment}-6d4cf56db6-"[:58] + "x7k2p"


@pytest.mark.parametrize("name", ["narrator", "n" * 40])
@pytest.mark.parametrize("region", ["eu-central", "r" * 40])
def test_a_pod_s_name_says_its_pool(name: str, region: str) -> None:
    service = names.regional_name(name, region)
    pods = [
        PodState(PodEndpoint(PodAddress(f"10.0.0.{number}"), pod_name(names.workload_name(name, region, pool)), True))
        for number, pool in enumerate((names.POOL_ON_DEMAND, names.POOL_SPOT, names.POOL_SPOT))
    ]
    assert pool_counts(service, pods, 0.0) == (PoolCount("on_demand", 1), PoolCount("spot", 2))


def test_servers_are_ready_starting_or_draining() -> None:
    pods = [PodState(PodEndpoint(PodAddress(f"10.0.0.{number}"))) for number in range(4)]
    for pod, state in zip(pods, ("ready", "loading", "draining"), strict=False):
        pod.record_report(ReceivedReport(LoadReport(state=state), {}, 1.0))
    assert pool_counts("n-eu", pods, 1.0) == (PoolCount("unknown", ready=1, starting=2, draining=1),)
