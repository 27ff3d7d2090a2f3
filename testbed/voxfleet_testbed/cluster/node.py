"""One node: a kubelet and its containerd, inside the cluster's network namespace.

Does: writes the node's files, starts both, imports images. Knows: the order of starting.
Does not know: other nodes; local_cluster.py numbers them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

from voxfleet_testbed.cluster import node_files
from voxfleet_testbed.cluster.cgroups import make_cgroup, processes_in
from voxfleet_testbed.cluster.control_plane import ControlPlane, write_kubeconfig
from voxfleet_testbed.cluster.memory import has_memory_to_spare, mount_in_memory
from voxfleet_testbed.cluster.node_files import NodePaths, NodePlan
from voxfleet_testbed.errors import StartError
from voxfleet_testbed.images.archives import write_merged
from voxfleet_testbed.images.mounts import Mount
from voxfleet_testbed.network.certificates import node_identity
from voxfleet_testbed.network.links import Network, bridge_commands

CONTAINERD_SECONDS = 30.0
NODE_READY_SECONDS = 120.0
FIRST_KUBELET_PORT = 10250  # plus the node's number: all kubelets share one network namespace
GPU_RESOURCE = "nvidia.com/gpu"
KUBELET_KUBECONFIG = "kubelet.kubeconfig"
# What passes a node's bridge: between its pods and other nodes' pods, and between its pods and host processes.
NETWORK_PATHS = (
    ("FORWARD", "--in-interface"),
    ("FORWARD", "--out-interface"),
    ("INPUT", "--in-interface"),
    ("OUTPUT", "--out-interface"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A started node; `number` counts from 1 and determines its addresses and ports."""

    plan: NodePlan
    number: int
    paths: NodePaths
    control_plane: ControlPlane
    network: Network

    @property
    def api_path(self) -> str:
        """The API path of the node's object."""
        return f"/api/v1/nodes/{self.plan.name}"

    @property
    def bridge(self) -> str:
        """The name of the node's bridge, the interface with the node's address."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """The node's address."""
        return self.network.layout.gateway(self.number)

    def load_images(self, archives: Sequence[Path]) -> None:
        """Import image archives as one stream, so that a shared layer is read once.

        Raises:
            StartError: containerd rejected them.
        """
        command = (*self._ctr(), "images", "import", "-")
        with subprocess.Popen(command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE) as importer:
            assert importer.stdin is not None  # noqa: S101 - Popen was asked for it
            assert importer.stderr is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError), importer.stdin as stream:
                write_merged(archives, stream)
            errors = importer.stderr.read().decode(errors="replace").strip()
        if importer.returncode != 0:
            raise StartError(f"importing images failed on {self.plan.name}: {errors}")

    def is_containerd_ready(self) -> bool:
        """Return whether containerd answers on its socket."""
        command = (*self._ctr(), "version")
        return self.paths.socket.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0

    @property
    def cgroup_root(self) -> str:
        """The cgroup of the node's pods."""
        return f"/{self.control_plane.run.folder.trace_name}/{self.plan.name}"

    def start_kubelet(self) -> None:
        """Start the kubelet; the node's files exist."""
        program = self.control_plane.programs.path("kubelet")
        kubeconfig = self.paths.folder / KUBELET_KUBECONFIG
        command = node_files.kubelet_command(program, self.paths, kubeconfig, self.plan, self.address)
        self.control_plane.start_process(self._kubelet, command)

    def crash(self) -> None:
        """Cut the node's network, then kill its kubelet and pods: as on a dead machine, no connection is closed."""
        self._set_network(is_cut=True)
        self.control_plane.run.stop(self._kubelet)
        for pid in processes_in(self.cgroup_root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def reboot(self) -> None:
        """Undo `crash`: the kubelet finds its pods' containers dead and starts them again."""
        self._set_network(is_cut=False)
        self.start_kubelet()

    @property
    def _kubelet(self) -> str:
        return f"kubelet-{self.plan.name}"

    def _set_network(self, *, is_cut: bool) -> None:
        """Drop all packets between the node's bridge and everything else, silently; or pass them again."""
        action = "--insert" if is_cut else "--delete"
        for chain, option in NETWORK_PATHS:
            self.network.run("iptables", "--wait", action, chain, option, self.bridge, "--jump", "DROP")

    def _ctr(self) -> tuple[str, ...]:
        return ("ctr", f"--address={self.paths.socket}", "--namespace=k8s.io")


def start_node(
    control_plane: ControlPlane, network: Network, plan: NodePlan, number: int, mounts: tuple[Mount, ...] = ()
) -> Node:
    """Start a node's containerd and kubelet; wait_ready waits until the node runs pods.

    Raises:
        StartError: containerd ended, or was not ready in time.
    """
    folder = control_plane.run.folder
    node = Node(plan, number, NodePaths(folder.path / "nodes" / plan.name), control_plane, network)
    # The bridge and the cgroup first: the kubelet expects its address and its cgroup root to exist.
    for command in bridge_commands(node.bridge, node.address):
        network.run(*command)
    make_cgroup(node.cgroup_root)
    _write_files(node, mounts)
    _start_containerd(node)
    _write_identity(node)
    node.start_kubelet()
    return node


def wait_ready(node: Node) -> None:
    """Wait until the node is Ready, then advertise its simulated GPUs.

    Raises:
        StartError: the node was not Ready in time.
    """
    api = node.control_plane.api
    api.wait_for(node.api_path, is_ready, NODE_READY_SECONDS)
    if node.plan.gpus:
        advertise_gpus(node, node.plan.gpus)


def advertise_gpus(node: Node, count: int) -> None:
    """Add simulated GPUs to the node's capacity, as Kubernetes documents it for extended resources."""
    escaped = GPU_RESOURCE.replace("/", "~1")  # JSON pointer (RFC 6901)
    operation = {"op": "add", "path": f"/status/capacity/{escaped}", "value": str(count)}
    node.control_plane.api.patch_status(node.api_path, [operation])


def is_ready(node: Any) -> bool:
    """Return whether a node object has condition Ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _write_files(node: Node, mounts: tuple[Mount, ...]) -> None:
    paths, folder, layout = node.paths, node.control_plane.run.folder, node.network.layout
    below = paths.folder.relative_to(folder.path)
    files = {
        "containerd.toml": node_files.containerd_config(paths, with_base_spec=bool(mounts)),
        "cni/10-pods.conflist": node_files.pod_network(
            f"{folder.trace_name}-{node.number}", node.bridge, str(layout.pods(node.number)), paths.folder / "leases"
        ),
        "kubelet.json": node_files.kubelet_config(
            paths,
            node.control_plane.certificates,
            node.cgroup_root,
            layout.dns_service,
            FIRST_KUBELET_PORT + node.number,
        ),
        "resolv.conf": f"nameserver {layout.dns_service}\n",
    }
    if mounts:
        # Containerd's default changes between versions, so the mounts are added to the installed version's.
        default = json.loads(subprocess.run(["ctr", "oci", "spec"], capture_output=True, check=True).stdout)
        files["base-spec.json"] = json.dumps(node_files.base_spec(default, mounts))
    for name, content in files.items():
        folder.write(f"{below}/{name}", content.encode())


def _start_containerd(node: Node) -> None:
    name = f"containerd-{node.plan.name}"
    node.paths.containerd.mkdir(exist_ok=True)
    if has_memory_to_spare(Path("/proc/meminfo").read_text()):
        mount_in_memory(node.paths.containerd)
    node.control_plane.start_process(name, ("containerd", f"--config={node.paths.folder}/containerd.toml"))
    node.control_plane.run.wait_until(node.is_containerd_ready, name, CONTAINERD_SECONDS)


def _write_identity(node: Node) -> None:
    control_plane, folder = node.control_plane, node.control_plane.run.folder
    pair = control_plane.authority.issue(node_identity(node.plan.name, node.address), dt.datetime.now(dt.UTC))
    below = node.paths.folder.relative_to(folder.path)
    folder.write(f"{below}/kubelet.crt", pair.certificate)
    folder.write(f"{below}/kubelet.key", pair.key, 0o600)
    write_kubeconfig(folder, f"{below}/{KUBELET_KUBECONFIG}", control_plane.endpoints, control_plane.authority, pair)
