"""The table of node labels and taints by which platforms mark spot capacity and GPUs.

Knows each platform's own label and its values. A node without any of these labels counts as on demand. Does not know
how pods are bound to nodes (placement.py).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CapacityLabel:
    """A node label that says whether a node is a spot node; the platform's spot taint has the same key and value."""

    platform: str
    key: str
    spot_values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GpuTaint:
    """A taint that keeps pods without a GPU off GPU nodes; without a value, any value."""

    platform: str
    key: str
    value: str | None = None


# Karpenter comes first: it tries the terms of a pod's affinity one by one, and each failed one costs a simulation.
CAPACITY_LABELS = (
    CapacityLabel("Karpenter, EKS Auto Mode", "karpenter.sh/capacity-type", ("spot",)),
    CapacityLabel("EKS managed node groups", "eks.amazonaws.com/capacityType", ("SPOT",)),
    CapacityLabel("GKE", "cloud.google.com/gke-spot", ("true",)),
    CapacityLabel("GKE", "cloud.google.com/gke-provisioning", ("spot", "preemptible")),
    CapacityLabel("GKE, before spot VMs", "cloud.google.com/gke-preemptible", ("true",)),
    CapacityLabel("AKS", "kubernetes.azure.com/scalesetpriority", ("spot",)),
    # For every other cluster: its administrator labels spot nodes with it.
    CapacityLabel("any other cluster", "voxfleet.dev/capacity-type", ("spot",)),
)

# Beside the taint with the name of the extended resource, which placement.py derives from gpu.resourceName.
GPU_TAINTS = (
    GpuTaint("GKE, Karpenter; also where the resource is a MIG slice or a device class", "nvidia.com/gpu"),
    GpuTaint("AKS, as its documentation creates GPU pools", "sku", "gpu"),
)
