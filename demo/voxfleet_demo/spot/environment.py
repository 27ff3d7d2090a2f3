"""A simulated cloud with VoxFleet in it: Karpenter and operator are real, nodes and pods are simulated.

Does: starts all parts, applies resources, reads what a user would. Knows the machines that the cloud sells. Does not
know the scenario that runs on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from voxfleet_operator.names import lease_name
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.karpenter import ON_DEMAND, SPOT, Machine, NodePool
from voxfleet_testbed.cluster.simulated_cluster import SimulatedCluster, SimulatedNode, running_simulation
from voxfleet_testbed.cluster.simulated_nodes import ANNOTATION_ENDS_ITSELF
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.events import Report, ignore
from voxfleet_testbed.network.addresses import own_address
from voxfleet_testbed.settings import Settings

from voxfleet_demo.installation import CHECKOUT
from voxfleet_demo.scenario import ScenarioError
from voxfleet_demo.spot.costs import PricedNode
from voxfleet_demo.spot.operator_process import (
    DEMAND_NAMESPACE,
    FLEETS,
    OperatorOptions,
    publish_gateway,
    running_operator,
)
from voxfleet_demo.spot.pod_servers import PodServers, Region, serving_pods
from voxfleet_demo.spot.simulated_pods import INFERENCE_PODS, PodFacts, pod_facts

EXAMPLE = CHECKOUT / "examples" / "spot.yaml"
REGION = "eu-central"
SMALL, LARGE = "gpu-small", "gpu-large"
# Prices as examples/spot.yaml has them; the large machine is the one that consolidation gives up.
MACHINES = (
    Machine(SMALL, {(REGION, SPOT): 0.35, (REGION, ON_DEMAND): 1.01}, gpus=1, cpus=16),
    Machine(LARGE, {(REGION, SPOT): 1.60, (REGION, ON_DEMAND): 4.40}, gpus=4, cpus=48, memory="256Gi"),
)
SPOT_POOL = NodePool("gpu-spot", SPOT, machines=(SMALL,))
ON_DEMAND_POOL = NodePool("gpu-on-demand", ON_DEMAND, machines=(SMALL,))
POLL_SECONDS = 0.5
MODEL_REQUESTS = 16  # open requests that one replica carries, the default of targetRequestsPerReplica


@dataclass(frozen=True, slots=True)
class SpotEnvironment:
    """The running parts, and one resource at a time."""

    cluster: SimulatedCluster
    pods: PodServers

    @property
    def api(self) -> Api:
        """A client of the API server."""
        return self.cluster.api

    def apply(self, manifest: dict[str, Any]) -> None:
        """Create or change a resource."""
        self.api.apply(f"{FLEETS}/{manifest['metadata']['name']}", manifest)

    def delete(self, name: str) -> None:
        """Delete a resource, and wait until its pods and their nodes are gone."""
        self.pods.held.clear()
        self.api.delete(f"{FLEETS}/{name}")
        self.until(lambda: not self.inference_pods(), "all pods are gone", 120)
        self.until(lambda: not self.cluster.claims(), "Karpenter has given all machines back", 180)

    def region_status(self, name: str, region: str = REGION) -> dict[str, Any]:
        """Return a region's status; empty before the operator's first."""
        rows = (self.api.get(f"{FLEETS}/{name}").get("status") or {}).get("regions") or []
        return next((row for row in rows if row["name"] == region), {})

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """Return one condition of a resource; empty when it is not set."""
        rows = (self.api.get(f"{FLEETS}/{name}").get("status") or {}).get("conditions") or []
        return next((row for row in rows if row["type"] == kind), {})

    def inference_pods(self) -> list[PodFacts]:
        """Return all inference pods."""
        return [pod_facts(each) for each in self.api.get(INFERENCE_PODS)["items"]]

    def serving_pods(self) -> list[PodFacts]:
        """Return the pods that are ready, stay, and answer."""
        pods = self.inference_pods()
        return [pod for pod in pods if pod.is_ready and pod.ends_at is None and self.pods.is_listening(pod)]

    def node_of(self, pod: PodFacts) -> SimulatedNode | None:
        """Return the node that a pod runs on."""
        return next((node for node in self.cluster.nodes() if node.name == pod.node), None)

    def serving_on(self, capacity_type: str) -> int:
        """Return how many serving pods run on nodes of a capacity type."""
        types = {node.name: node.capacity_type for node in self.cluster.nodes()}
        return sum(types.get(pod.node) == capacity_type for pod in self.serving_pods())

    def priced_nodes(self) -> list[PricedNode]:
        """Return the nodes that are paid for now."""
        on_demand = {machine.name: machine.prices for machine in MACHINES}
        return [
            PricedNode(node.name, node.capacity_type, node.price, on_demand[node.machine][node.region, ON_DEMAND])
            for node in self.cluster.nodes()
            if node.machine in on_demand
        ]

    def hold(self, name: str, requests: int, region: str = REGION) -> None:
        """Let that many requests wait at the gateway; it renews the region's Lease while there are any."""
        self.pods.held["default", name, region] = requests

    def until(self, is_true: Callable[[], Any], what: str, within_seconds: float) -> float:
        """Wait for a state; returns the seconds it took.

        Raises:
            ScenarioError: the deadline passed; the message has the nodes and pods as they are.
        """
        started = time.monotonic()
        while (waited := time.monotonic() - started) < within_seconds:
            try:
                if is_true():
                    return waited
            except (ApiError, OSError) as error:
                self.pods.errors.append(str(error))
            time.sleep(POLL_SECONDS)
        raise ScenarioError(f"not within {within_seconds:.0f} s: {what}\n{self.describe()}")

    def describe(self) -> str:
        """Return nodes, pods, the resources' status and the ends of logs, for the message of a failed step."""
        nodes = [f"node {node}" for node in self.cluster.nodes()]
        pods = [f"pod {pod}" for pod in self.inference_pods()]
        fleets = [f"{each['metadata']['name']}: {each.get('status')}" for each in self.api.get(FLEETS)["items"]]
        run = self.cluster.control_plane.run
        logs = [f"{name}:\n{run.log_end(name)}" for name in ("operator", "karpenter", "kwok", "kube-scheduler")]
        return "\n".join([*nodes, *pods, *fleets, *logs])


@contextmanager
def running_spot_environment(
    settings: Settings | None = None,
    *,
    options: OperatorOptions | None = None,
    boot_seconds: int = 2,
    report: Report = ignore,
) -> Iterator[SpotEnvironment]:
    """Run the whole environment for as long as the block runs."""
    with running_simulation(MACHINES, settings, boot_seconds=boot_seconds, report=report) as cluster:
        for pool in (SPOT_POOL, ON_DEMAND_POOL):
            cluster.apply_pool(pool)
        log = cluster.control_plane.run.folder.logs / "operator.log"
        address = own_address()
        with (
            serving_pods(cluster.api, address, lease_path) as pods,
            running_operator(cluster.api, cluster.kubeconfig, log, options or OperatorOptions()),
        ):
            publish_gateway(cluster.api, address, pods.gateway_port)
            yield SpotEnvironment(cluster, pods)


def lease_path(region: Region) -> str:
    """Return the path of a region's demand Lease."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{DEMAND_NAMESPACE}/leases/{lease_name(*region)}"


def example(name: str, **overrides: dict[str, Any]) -> dict[str, Any]:
    """Return examples/spot.yaml in one region, with short times and pods that end themselves.

    Args:
        name: the resource's name.
        overrides: fields of the spec, merged one level deep: `autoscaling={"maxReplicas": 3}`.
    """
    manifest: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    spec = manifest["spec"]
    manifest["metadata"] = {"name": name, "namespace": "default"}
    spec["regions"] = [region for region in spec["regions"] if region["name"] == REGION]
    short: dict[str, dict[str, Any]] = {
        "capacity": {"spotFallbackSeconds": 8, "wakeFallbackSeconds": 8},
        "autoscaling": {"idleTimeoutSeconds": 15, "scaleDownStabilizationSeconds": 5},
        "disruption": {"drainSeconds": 60},
        "podTemplate": {"metadata": {"annotations": {ANNOTATION_ENDS_ITSELF: "true"}}},
    }
    for given in (short, overrides):
        for field, values in given.items():
            spec[field] = {**(spec.get(field) or {}), **values}
    return manifest
