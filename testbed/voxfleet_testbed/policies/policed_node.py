"""A control plane, and one node that enforces NetworkPolicies, without kubelet or containers.

    with running_policed_node() as node:
        shop = node.add_pod("shop", "default", {"app": "shop"})
        node.start_engine()

Does: starts the parts in the order of their dependencies. Knows: the API server runs on this machine's side of the
link, because an engine does not filter what stays on its own node. Does not know: VoxFleet.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.command_lines import Endpoints
from voxfleet_testbed.cluster.control_plane import ControlPlane, start_in_run
from voxfleet_testbed.errors import StartError
from voxfleet_testbed.network.addresses import Layout
from voxfleet_testbed.network.links import Network, make_network, start_namespace
from voxfleet_testbed.policies import engine
from voxfleet_testbed.policies.connections import Attempt, connects
from voxfleet_testbed.policies.pods import Peer, node_lines, peer_lines, pod, running_at
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import POLICY_PROGRAMS
from voxfleet_testbed.programs.packages import POLICY_PACKAGE_OF, require_cluster_prerequisites
from voxfleet_testbed.settings import Settings, read_settings
from voxfleet_testbed.supervision.processes import Process, begin_run

NODE = "policed"
SERVICES_SECONDS = 120.0
POD_NUMBERS = range(2, 255)  # of a pod's address in the node's /24; the first one is the node's
IPV6_NETWORK = "fd76:6f78::"  # unique local addresses (RFC 4193), which only the node and its pods have
IPV6 = Path("/proc/net/if_inet6")  # missing where the kernel has no IPv6


@dataclass(slots=True)
class PolicedNode:
    """A running node and its pods; stop it with `close`, or use `running_policed_node`."""

    control_plane: ControlPlane
    network: Network
    peers: list[Peer] = field(default_factory=list)

    @property
    def api(self) -> Api:
        """A client with the administrator's rights."""
        return self.control_plane.api

    @property
    def node(self) -> Peer:
        """The node itself, from which a kubelet probes pods."""
        return Peer(NODE, self.network.pin_pid, self._gateways)

    def add_namespace(self, name: str) -> None:
        """Create a namespace, and the service account that its pods ask for."""
        self.api.apply(f"/api/v1/namespaces/{name}", _object("v1", "Namespace", name))
        account = _object("v1", "ServiceAccount", "default")
        self.api.apply(f"/api/v1/namespaces/{name}/serviceaccounts/default", account)

    def add_pod(self, name: str, namespace: str, labels: Mapping[str, str]) -> Peer:
        """Start a pod: a network namespace, and a Pod object that is Running at its addresses."""
        number = POD_NUMBERS[len(self.peers)]
        ipv4 = str(self.network.layout.pods(1)[number])
        peer = self.add_outside(name, (ipv4, f"{IPV6_NETWORK}{number:x}"))
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self.api.apply(path, pod(name, namespace, labels, NODE))
        self.api.patch_status(path, running_at(peer.addresses))
        return peer

    def add_outside(self, name: str, addresses: tuple[str, ...]) -> Peer:
        """Start a network namespace at given addresses, one per family, that is no pod of the cluster."""
        kept = addresses[: len(self._gateways)]
        peer = Peer(name, start_namespace(self.control_plane.run, f"peer-{name}"), kept)
        self.peers.append(peer)
        _batch(self.network.pin_pid, node_lines(f"peer{len(self.peers)}", peer, self._gateways))
        _batch(peer.pid, peer_lines(peer, self._gateways))
        return peer

    def start_engine(self) -> None:
        """Enforce the policies that exist now, for the pods that exist now; it replaces an engine that runs."""
        if engine.PROCESS in self.control_plane.run.processes():
            self.control_plane.run.stop(engine.PROCESS)
        engine.start_engine(self.control_plane, self.network, NODE)

    def wait_for_service(self, address: str, port: int) -> None:
        """Wait until the node reaches a Service, as its pods do.

        Raises:
            StartError: it did not in time.
        """
        attempt = Attempt(self.network.pin_pid, address, port)
        self.control_plane.run.wait_until(lambda: connects(attempt), "kube-proxy", SERVICES_SECONDS)

    def close(self) -> None:
        """Stop all processes and remove the run."""
        self.control_plane.close()

    @property
    def _gateways(self) -> tuple[str, ...]:
        """The node's address in each family, which every pod has its routes through."""
        return (self.network.layout.gateway(1), *([f"{IPV6_NETWORK}1"] if IPV6.exists() else []))


@contextmanager
def running_policed_node(settings: Settings | None = None) -> Iterator[PolicedNode]:
    """Run a control plane and a node for as long as the block runs.

    Raises:
        UnavailableError: root, a package or Go is missing.
        BuildError: a program did not compile.
        StartError: a process ended, or was not ready in time.
    """
    settings = settings or read_settings()
    require_cluster_prerequisites(table=POLICY_PACKAGE_OF)
    programs = find_programs(settings)
    build(programs, POLICY_PROGRAMS)
    run = begin_run(settings.runs)
    try:
        network = make_network(run)
        control_plane = start_in_run(run, programs, host_endpoints(network.layout))
        node = PolicedNode(control_plane, network)
        _start_node(node)
        yield node
    finally:
        run.close()


def host_endpoints(layout: Layout) -> Endpoints:
    """Return the endpoints of a control plane at this machine's end of the link, an address of this run alone."""
    return Endpoints(layout.host, 2379, 2380, 6443, str(layout.services), advertised=True)


def _start_node(node: PolicedNode) -> None:
    node.network.run("sysctl", "--quiet", "--write", "net.ipv6.conf.all.forwarding=1")
    for command in engine.queue_commands():
        node.network.run(*command)
    path = f"/api/v1/nodes/{NODE}"
    node.api.apply(path, _object("v1", "Node", NODE))
    address = [{"type": "InternalIP", "address": node.network.layout.gateway(1)}]
    node.api.patch_status(path, [{"op": "add", "path": "/status/addresses", "value": address}])
    program = node.control_plane.programs.path("kube-proxy")
    proxy = command_lines.kube_proxy(program, node.control_plane.kubeconfig, NODE)
    node.control_plane.run.start(Process("kube-proxy", node.network.enter(proxy)))


def _object(version: str, kind: str, name: str) -> dict[str, object]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _batch(pid: int, lines: Iterable[str]) -> None:
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", "-batch", "-"]
    finished = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise StartError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
