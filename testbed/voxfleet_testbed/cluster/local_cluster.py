"""A cluster: control plane, scheduler, Services, DNS and nodes, in one network namespace.

    with running_cluster(nodes=(NodePlan("eu-1", "eu-central"),)) as cluster:
        cluster.load_images((archive,))

Does: starts the parts in the order of their dependencies. Does not know: VoxFleet.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.cgroups import make_cgroup
from voxfleet_testbed.cluster.command_lines import Endpoints
from voxfleet_testbed.cluster.control_plane import ControlPlane, start_in_run
from voxfleet_testbed.cluster.node import Node, start_node, wait_ready
from voxfleet_testbed.cluster.node_files import NodePlan
from voxfleet_testbed.events import Report, ignore, phase
from voxfleet_testbed.images.archives import pause_archive
from voxfleet_testbed.images.mounts import Mount
from voxfleet_testbed.network import dns
from voxfleet_testbed.network.addresses import Layout
from voxfleet_testbed.network.links import Network, make_network
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import CLUSTER_PROGRAMS
from voxfleet_testbed.programs.packages import require_cluster_prerequisites
from voxfleet_testbed.settings import Settings, read_settings
from voxfleet_testbed.supervision.kernel_settings import save_kernel_settings
from voxfleet_testbed.supervision.processes import begin_run

REGIONAL_NODES = (NodePlan("eu-central-1", "eu-central"), NodePlan("us-east-1", "us-east"))
CONTROLLERS_SECONDS = 60.0
SERVICES_SECONDS = 120.0
CONNECT_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; this machine reaches its pods and Services by their addresses."""

    control_plane: ControlPlane
    network: Network
    nodes: tuple[Node, ...]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    @property
    def api(self) -> Api:
        """A client with the administrator's rights."""
        return self.control_plane.api

    @property
    def folder(self) -> Path:
        """The folder of all the cluster's files, logs included."""
        return self.control_plane.run.folder.path

    def load_images(self, archives: Iterable[Path], report: Report = ignore) -> None:
        """Import image archives into all nodes in parallel.

        Raises:
            StartError: a node's containerd rejected them.
        """
        given = tuple(archives)
        with phase(report, "load images") as progress:
            progress(f"{len(given)} images into {len(self.nodes)} nodes", None)
            _in_parallel([partial(node.load_images, given) for node in self.nodes])

    def detach(self) -> None:
        """Let the cluster outlive this process; `python -m voxfleet_testbed down` ends it."""
        self.control_plane.run.folder.describe(detached=True)
        self.control_plane.run.detach()

    def close(self) -> None:
        """Stop all processes and remove the run."""
        self.control_plane.close()


@contextmanager
def running_cluster(
    settings: Settings | None = None,
    *,
    nodes: Sequence[NodePlan] = REGIONAL_NODES,
    mounts: Sequence[Mount] = (),
    report: Report = ignore,
) -> Iterator[Cluster]:
    """Run a cluster for as long as the block runs; unless detached, it ends with this process."""
    cluster = start_cluster(settings, nodes=nodes, mounts=mounts, report=report)
    try:
        yield cluster
    finally:
        cluster.close()


def start_cluster(
    settings: Settings | None = None,
    *,
    nodes: Sequence[NodePlan] = REGIONAL_NODES,
    mounts: Sequence[Mount] = (),
    report: Report = ignore,
) -> Cluster:
    """Build missing programs and start a cluster; if a step fails, all that was started is removed.

    Args:
        settings: the testbed's settings; None: from the environment.
        nodes: the nodes to start; kube-proxy runs once, under the first one's name.
        mounts: folders that every container sees.
        report: receives the phases.

    Raises:
        UnavailableError: root, a package or Go is missing.
        BuildError: a program did not compile.
        StartError: a process ended, or was not ready in time.
    """
    settings = settings or read_settings()
    require_cluster_prerequisites()
    programs = find_programs(settings)
    build(programs, CLUSTER_PROGRAMS, report)
    pause = pause_archive(settings.cache, programs.path("pause"))
    run = begin_run(settings.runs)
    try:
        with phase(report, "control plane"):
            network = make_network(run)
            control_plane = start_in_run(run, programs, cluster_endpoints(network.layout), network)
            start_services(control_plane, nodes[0].name)
        with phase(report, "nodes"):
            make_cgroup(f"/{run.folder.trace_name}")
            # After the cgroup, by which another run's end sees that this cluster still needs the changed settings.
            save_kernel_settings()
            started = _start_nodes(control_plane, network, nodes, tuple(mounts), pause)
        with phase(report, "services and DNS"):
            _start_dns(control_plane, network.layout)
            _wait_for_services(control_plane, network.layout)
    except BaseException:
        run.close()
        raise
    run.folder.describe(nodes={plan.name: plan.region for plan in nodes}, network=str(network.layout.network))
    return Cluster(control_plane, network, started)


def cluster_endpoints(layout: Layout) -> Endpoints:
    """Return the default ports of etcd and the API server: in its own network namespace a cluster has them free."""
    return Endpoints(layout.cluster, 2379, 2380, 6443, str(layout.services), advertised=True)


def start_services(control_plane: ControlPlane, proxy_node: str) -> None:
    """Start the controller manager, the scheduler and kube-proxy."""
    programs, kubeconfig = control_plane.programs, control_plane.kubeconfig
    control_plane.start_controllers()
    scheduler = command_lines.kube_scheduler(programs.path("kube-scheduler"), kubeconfig)
    control_plane.start_process("kube-scheduler", scheduler)
    proxy = command_lines.kube_proxy(programs.path("kube-proxy"), kubeconfig, proxy_node)
    control_plane.start_process("kube-proxy", proxy)


def _start_nodes(
    control_plane: ControlPlane,
    network: Network,
    plans: Sequence[NodePlan],
    mounts: tuple[Mount, ...],
    pause: Path,
) -> tuple[Node, ...]:
    def start(number: int, plan: NodePlan) -> Node:
        node = start_node(control_plane, network, plan, number, mounts)
        node.load_images((pause,))  # before the first pod: its sandbox needs the pause image
        wait_ready(node)
        return node

    return tuple(_in_parallel([partial(start, number, plan) for number, plan in enumerate(plans, start=1)]))


def _in_parallel(jobs: Sequence[Callable[[], T]]) -> list[T]:
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def _start_dns(control_plane: ControlPlane, layout: Layout) -> None:
    folder = control_plane.run.folder
    text = dns.corefile(layout.cluster, control_plane.kubeconfig, folder.trace_name)
    corefile = folder.write("Corefile", text.encode())
    program = str(control_plane.programs.path("coredns"))
    control_plane.start_process("coredns", (program, f"-conf={corefile}"))
    control_plane.api.apply(dns.SERVICE_PATH, dns.service(layout.dns_service))
    control_plane.api.apply(dns.SLICE_PATH, dns.endpoint_slice(layout.cluster))


def _wait_for_services(control_plane: ControlPlane, layout: Layout) -> None:
    """Wait for what the first pod needs: its service account, which a controller makes, and the two Services."""
    control_plane.api.wait_for("/api/v1/namespaces/default/serviceaccounts/default", bool, CONTROLLERS_SECONDS)
    run = control_plane.run
    run.wait_until(lambda: _connects(layout.kubernetes_service, 443), "kube-proxy", SERVICES_SECONDS)
    run.wait_until(lambda: _connects(layout.dns_service, 53), "coredns", SERVICES_SECONDS)


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
