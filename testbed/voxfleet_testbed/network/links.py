"""The cluster's network namespace and its link to this machine.

Does: makes a network namespace held by a process (it disappears with the run's processes, and with it its interfaces,
routes and iptables rules), a veth link from this machine, and a route to the cluster's /16, which also reserves it.
Knows: `ip`. Does not know: what runs inside.
"""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.errors import StartError
from voxfleet_testbed.network.addresses import Layout, choose_layout
from voxfleet_testbed.network.namespaces import network_namespace
from voxfleet_testbed.supervision.processes import Process, Run

PIN = "network"  # the name of the process that holds the namespace
HOLDER = ("unshare", "--net", "sleep", "infinity")
UPLINK = "uplink"  # the cluster's end of the link
_CHOICE_LOCK = Path("/run/lock/voxfleet-testbed")
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Network:
    """A cluster's addresses, and the process that holds its network namespace."""

    layout: Layout
    pin_pid: int

    def enter(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command, prefixed to run inside the cluster's network namespace."""
        return ("nsenter", f"--net=/proc/{self.pin_pid}/ns/net", "--", *command)

    def run(self, *command: str) -> None:
        """Run a short command inside the cluster's network namespace.

        Raises:
            StartError: it failed.
        """
        _run(self.enter(command))


def make_network(run: Run) -> Network:
    """Make the namespace, choose a free /16, and link it to this machine.

    Raises:
        StartError: a command failed.
        UnavailableError: no /16 is free.
    """
    pin_pid = start_namespace(run, PIN)
    with _choice_lock():
        layout = choose_layout(_run(("ip", "-4", "route", "show", "table", "all")))
        for command in host_commands(layout, run.folder.link_name, pin_pid):
            _run(command)
    network = Network(layout, pin_pid)
    for command in cluster_commands(layout):
        network.run(*command)
    return network


def start_namespace(run: Run, name: str) -> int:
    """Start a process that holds a new network namespace; returns its process id.

    Raises:
        StartError: it ended, or had no namespace in time.
    """
    pid, own = run.start(Process(name, HOLDER)), network_namespace("self")
    # The process exists before `unshare` has made its namespace.
    run.wait_until(lambda: network_namespace(pid) not in {"", own}, name, _READY_SECONDS)
    return pid


def host_commands(layout: Layout, link: str, pin_pid: int) -> Iterator[tuple[str, ...]]:
    """Yield the commands for this machine's side: a veth pair into the namespace, and the route to the cluster."""
    yield ("ip", "link", "add", link, "type", "veth", "peer", "name", UPLINK, "netns", str(pin_pid))
    yield ("ip", "address", "add", f"{layout.host}/24", "dev", link)
    yield ("ip", "link", "set", link, "up")
    # The link has no carrier until its other end is up; `onlink` lets the route, which reserves the /16, exist before.
    yield ("ip", "route", "add", str(layout.network), "via", layout.cluster, "dev", link, "onlink")


def cluster_commands(layout: Layout) -> Iterator[tuple[str, ...]]:
    """Yield the commands for the cluster's side: loopback, uplink, and forwarding between the nodes' bridges."""
    yield ("ip", "link", "set", "lo", "up")
    yield ("ip", "address", "add", f"{layout.cluster}/24", "dev", UPLINK)
    yield ("ip", "link", "set", UPLINK, "up")
    yield ("ip", "route", "add", "default", "via", layout.host)
    yield ("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")


def bridge_commands(name: str, address: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands that make a node's bridge before its first pod, because the kubelet needs its address."""
    yield ("ip", "link", "add", name, "type", "bridge")
    yield ("ip", "address", "add", f"{address}/24", "dev", name)
    yield ("ip", "link", "set", name, "up")


@contextmanager
def _choice_lock() -> Iterator[None]:
    """Hold a lock of the whole machine: between choosing a /16 and adding its route no other testbed may choose."""
    _CHOICE_LOCK.parent.mkdir(exist_ok=True)
    with _CHOICE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: tuple[str, ...]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise StartError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
    return finished.stdout
