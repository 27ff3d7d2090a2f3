"""Nodes and pods that exist in the API only: kwok plays the kubelet of each node that carries its annotation.

Does: writes kwok's configuration and stages, starts it. Knows: which published stages are used, and how they are
changed. Does not know: what makes the nodes; karpenter.py does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.network.addresses import loopback_range
from voxfleet_testbed.programs.go_builds import Programs

NODE_ANNOTATION = "kwok.x-k8s.io/node=fake"
# On a pod: kwok leaves it while it terminates, and the test that plays its server deletes it when its streams ended.
ANNOTATION_ENDS_ITSELF = "testbed.voxfleet.dev/ends-itself"
STAGES = ("node-initialize.yaml", "node-heartbeat-with-lease.yaml", "pod-ready.yaml", "pod-delete.yaml")


def start_kwok(control_plane: ControlPlane) -> None:
    """Start kwok; from then on nodes with its annotation become ready, and pods on them run as soon as scheduled."""
    folder = control_plane.run.folder
    pods = loopback_range(int(folder.run_id, 16))
    documents = [configuration(pods, control_plane.endpoints.address), *stages(control_plane.programs)]
    config = folder.write("kwok.yaml", yaml.safe_dump_all(documents).encode())
    control_plane.start_process("kwok", command(control_plane.programs.path("kwok"), control_plane.kubeconfig, config))


def command(program: Path, kubeconfig: Path, config: Path) -> tuple[str, ...]:
    """Return kwok's command."""
    return (str(program), f"--kubeconfig={kubeconfig}", f"--config={config}")


def configuration(pods: str, node_address: str) -> dict[str, Any]:
    """Return kwok's options: pods get addresses of a loopback range, where a test can answer for each of them."""
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "manageAllNodes": False,
            "manageNodesWithAnnotationSelector": NODE_ANNOTATION,
            "cidr": pods,
            "nodeIP": node_address,
            "nodeLeaseDurationSeconds": 40,
            "nodeLeaseParallelism": 4,  # with a configuration file its default is 0: no Lease would be renewed
            "podPlayStageParallelism": 4,
            "nodePlayStageParallelism": 4,
            "enableCRDs": [],
        },
    }


def stages(programs: Programs) -> list[dict[str, Any]]:
    """Return the published stages; a pod that ends itself is exempt from deletion."""
    found = [yaml.safe_load(programs.asset("kwok", name).read_text()) for name in STAGES]
    for stage in found:
        if stage["metadata"]["name"] == "pod-delete":
            stage["spec"]["selector"]["matchExpressions"].append(
                {"key": f'.metadata.annotations["{ANNOTATION_ENDS_ITSELF}"]', "operator": "DoesNotExist"}
            )
    return found
