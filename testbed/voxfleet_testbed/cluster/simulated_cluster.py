"""A cluster whose nodes are simulated and whose autoscaler is real: control plane, scheduler, kwok, Karpenter.

    with running_simulation(machines) as cluster:
        cluster.apply_pool(NodePool("spot", SPOT))

Does: starts the parts in the order of their dependencies; reads and changes what a cloud would. Needs no root.
Does not know: VoxFleet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane, start_control_plane
from voxfleet_testbed.cluster.karpenter import (
    LABEL_CAPACITY_TYPE,
    LABEL_INSTANCE_TYPE,
    LABEL_PRICE,
    LABEL_REGION,
    NODE_CLAIMS,
    NODE_POOLS,
    Machine,
    NodePool,
    node_pool,
    start_karpenter,
)
from voxfleet_testbed.cluster.simulated_nodes import start_kwok
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.events import Report, ignore, phase
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import SIMULATION_PROGRAMS
from voxfleet_testbed.settings import Settings, read_settings

# Pods have loopback addresses, which the API server refuses in EndpointSlices: these would retry for ever.
WITHOUT_CONTROLLERS = ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller")


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """A node as its labels describe it; `price` in dollars per hour."""

    name: str
    machine: str
    region: str
    capacity_type: str
    price: float
    claim: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class SimulatedCluster:
    """A running simulation; stop it with `close`, or use `running_simulation`."""

    control_plane: ControlPlane

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    @property
    def api(self) -> Api:
        """A client with the administrator's rights."""
        return self.control_plane.api

    def apply_pool(self, pool: NodePool) -> None:
        """Create or change a NodePool."""
        self.api.apply(f"{NODE_POOLS}/{pool.name}", node_pool(pool))

    def nodes(self) -> tuple[SimulatedNode, ...]:
        """Return the nodes that exist now, those that are being removed included."""
        return tuple(_node(each) for each in self.api.get("/api/v1/nodes")["items"])

    def claims(self) -> tuple[str, ...]:
        """Return the names of Karpenter's NodeClaims: machines that it asked for and has not given back."""
        return tuple(each["metadata"]["name"] for each in self.api.get(NODE_CLAIMS)["items"])

    def reclaim(self, node: SimulatedNode) -> None:
        """Take a node back with notice: Karpenter taints it, orders a replacement and evicts its pods."""
        self.api.delete(f"{NODE_CLAIMS}/{node.claim}")

    def lose(self, node: SimulatedNode) -> None:
        """Take a node away without notice: its pods are gone with it."""
        pods = self.api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node.name}")["items"]
        for pod in pods:
            self._remove(f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}")
        for path in (f"{NODE_CLAIMS}/{node.claim}", f"/api/v1/nodes/{node.name}"):
            with suppress(ApiError):
                release = {"metadata": {"finalizers": None}}
                self.api.request("PATCH", path, release, "application/merge-patch+json")
            self._remove(path)

    def close(self) -> None:
        """Stop all processes and remove the run."""
        self.control_plane.close()

    def _remove(self, path: str) -> None:
        with suppress(ApiError):  # what is gone already is what is wanted
            self.api.delete(f"{path}?gracePeriodSeconds=0")


@contextmanager
def running_simulation(
    machines: Sequence[Machine],
    settings: Settings | None = None,
    *,
    boot_seconds: int = 2,
    report: Report = ignore,
) -> Iterator[SimulatedCluster]:
    """Run a simulation for as long as the block runs; it ends with this process, however that ends."""
    cluster = start_simulation(machines, settings, boot_seconds=boot_seconds, report=report)
    try:
        yield cluster
    finally:
        cluster.close()


def start_simulation(
    machines: Sequence[Machine],
    settings: Settings | None = None,
    *,
    boot_seconds: int = 2,
    report: Report = ignore,
) -> SimulatedCluster:
    """Build missing programs and start a control plane, kwok and Karpenter; if a step fails, all is removed.

    Args:
        machines: what the simulated cloud sells.
        settings: the testbed's settings; None: from the environment.
        boot_seconds: from Karpenter's request to the node's registration.
        report: receives the phases.

    Raises:
        UnavailableError: Go is missing.
        BuildError: a program did not compile.
        StartError: a process ended, or was not ready in time.
    """
    settings = settings or read_settings()
    build(find_programs(settings), SIMULATION_PROGRAMS, report)
    control_plane = start_control_plane(
        settings, controllers=True, without_controllers=WITHOUT_CONTROLLERS, report=report
    )
    try:
        with phase(report, "scheduler, kwok and Karpenter"):
            scheduler = control_plane.programs.path("kube-scheduler")
            control_plane.start_process(
                "kube-scheduler", command_lines.kube_scheduler(scheduler, control_plane.kubeconfig)
            )
            start_kwok(control_plane)
            start_karpenter(control_plane, machines, boot_seconds)
    except BaseException:
        control_plane.close()
        raise
    return SimulatedCluster(control_plane)


def _node(manifest: Any) -> SimulatedNode:
    labels = manifest["metadata"].get("labels") or {}
    owners = manifest["metadata"].get("ownerReferences") or []
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return SimulatedNode(
        name=manifest["metadata"]["name"],
        machine=labels.get(LABEL_INSTANCE_TYPE, ""),
        region=labels.get(LABEL_REGION, ""),
        capacity_type=labels.get(LABEL_CAPACITY_TYPE, ""),
        price=float(labels.get(LABEL_PRICE, "0")),
        claim=next((each["name"] for each in owners if each["kind"] == "NodeClaim"), ""),
        is_ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
    )
