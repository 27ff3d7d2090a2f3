"""Karpenter with its simulated cloud: real provisioning and consolidation, nodes that kwok keeps ready.

Does: applies Karpenter's CRDs, writes the cloud's machines and their prices, starts Karpenter. Knows: the formats of
instance types and NodePools. Does not know: which pods need the machines.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.network.addresses import free_ports

SPOT, ON_DEMAND = "spot", "on-demand"
LABEL_CAPACITY_TYPE = "karpenter.sh/capacity-type"
LABEL_REGION = "topology.kubernetes.io/region"
LABEL_ZONE = "topology.kubernetes.io/zone"
LABEL_INSTANCE_TYPE = "node.kubernetes.io/instance-type"
LABEL_PRICE = "eks-node-viewer/instance-price"  # of the simulated cloud's nodes, dollars per hour
GPU = "nvidia.com/gpu"
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"
NODE_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
NODE_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"
NODE_CLASS = "simulated"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRDS = (
    "karpenter.sh_nodepools.yaml",
    "karpenter.sh_nodeclaims.yaml",
    "karpenter.sh_nodeoverlays.yaml",
    "autoscaling.x-k8s.io_capacitybuffers.yaml",
    "karpenter.kwok.sh_kwoknodeclasses.yaml",
)
ESTABLISHED_SECONDS = 60.0
READY_SECONDS = 120.0  # its caches list every object once; a machine that runs other tests is slow


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance type: its GPUs, and what one costs per hour in each region, on spot and on demand."""

    name: str
    prices: dict[tuple[str, str], float]  # (region, capacity type) -> dollars per hour
    gpus: int = 1
    cpus: int = 8
    memory: str = "64Gi"


@dataclass(frozen=True, slots=True)
class NodePool:
    """A NodePool of one capacity type; its nodes carry the taint that clouds put on GPU nodes."""

    name: str
    capacity_type: str
    machines: tuple[str, ...] = ()  # names of machines; empty: any
    consolidation: str = "WhenEmpty"
    consolidate_after: str = "5s"
    gpu_limit: int | None = None  # 0: the cloud has none to give; nodes that exist stay
    notice_seconds: int = 120  # from the reclaim of a node to its end, whatever still runs


def start_karpenter(control_plane: ControlPlane, machines: Sequence[Machine], boot_seconds: int) -> None:
    """Start Karpenter with a cloud of these machines, whose nodes register that long after they were asked for.

    Raises:
        StartError: it ended, or was not ready in time.
    """
    apply_definitions(control_plane)
    folder, address = control_plane.run.folder, control_plane.endpoints.address
    types = folder.write("instance-types.json", json.dumps(instance_types(machines), indent=1).encode())
    metrics_port, health_port = free_ports("", 2)  # it listens on all addresses
    environment = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "INSTANCE_TYPES_FILE_PATH": str(types),
        "DISABLE_LEADER_ELECTION": "true",  # a Lease would delay a start by seconds
        "METRICS_PORT": str(metrics_port),
        "HEALTH_PROBE_PORT": str(health_port),
    }
    control_plane.start_process("karpenter", (str(control_plane.programs.path("karpenter")),), environment)
    control_plane.run.wait_until(
        lambda: _is_healthy(f"http://{address}:{health_port}/healthz"), "karpenter", READY_SECONDS
    )
    control_plane.api.apply(f"{NODE_CLASSES}/{NODE_CLASS}", node_class(boot_seconds))


def apply_definitions(control_plane: ControlPlane) -> None:
    """Apply Karpenter's CRDs and wait until their kinds are served."""
    for name in CRDS:
        definition = yaml.safe_load(control_plane.programs.asset("karpenter", name).read_text())
        path = f"{DEFINITIONS}/{definition['metadata']['name']}"
        control_plane.api.apply(path, definition)
        control_plane.api.wait_for(path, _is_established, ESTABLISHED_SECONDS)


def instance_types(machines: Sequence[Machine]) -> list[dict[str, Any]]:
    """Return the simulated cloud's machines in the format of its file: one zone in each region."""
    return [
        {
            "name": machine.name,
            "architecture": "amd64",
            "operatingSystems": ["linux"],
            "resources": {
                "cpu": str(machine.cpus),
                "memory": machine.memory,
                "ephemeral-storage": "200Gi",
                "pods": "110",
                GPU: str(machine.gpus),
            },
            "offerings": [_offering(*place, price) for place, price in machine.prices.items()],
        }
        for machine in machines
    ]


def node_pool(pool: NodePool) -> dict[str, Any]:
    """Return the manifest of a NodePool."""
    requirements = [_requirement(LABEL_CAPACITY_TYPE, pool.capacity_type)]
    if pool.machines:
        requirements.append(_requirement(LABEL_INSTANCE_TYPE, *pool.machines))
    spec: dict[str, Any] = {
        "template": {
            "spec": {
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": NODE_CLASS},
                "requirements": requirements,
                "taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}],
                "expireAfter": "Never",
                "terminationGracePeriod": f"{pool.notice_seconds}s",
            }
        },
        "disruption": {
            "consolidationPolicy": pool.consolidation,
            "consolidateAfter": pool.consolidate_after,
            "budgets": [{"nodes": "100%"}],
        },
    }
    if pool.gpu_limit is not None:
        spec["limits"] = {GPU: str(pool.gpu_limit)}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": pool.name}, "spec": spec}


def node_class(boot_seconds: int) -> dict[str, Any]:
    """Return the manifest of the class of all simulated nodes."""
    return {
        "apiVersion": "karpenter.kwok.sh/v1alpha1",
        "kind": "KWOKNodeClass",
        "metadata": {"name": NODE_CLASS},
        "spec": {"nodeRegistrationDelay": f"{boot_seconds}s"},
    }


def _offering(region: str, capacity_type: str, price: float) -> dict[str, Any]:
    requirements = ((LABEL_CAPACITY_TYPE, capacity_type), (LABEL_REGION, region), (LABEL_ZONE, f"{region}-a"))
    return {
        "Price": price,
        "Available": True,
        "Requirements": [_requirement(key, value) for key, value in requirements],
    }


def _requirement(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _is_established(definition: Any) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of this machine
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's own number
    except (urllib.error.URLError, OSError):
        return False
