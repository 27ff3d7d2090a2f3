"""A network of the cluster's own, and one link to it.

Does: makes a network namespace pinned by a process (when the run's processes die it is gone, with its interfaces,
routes and iptables rules), a link from this machine, and a route to the cluster's /16, which also marks it as taken.
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
from voxfleet_testbed.supervision.processes import Process, Run

PIN = "network"
UPLINK = "uplink"
_CHOICE_LOCK = Path("/run/lock/voxfleet-testbed")
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Network:
    """A cluster's addresses, and the process whose network namespace has them."""

    layout: Layout
    pin_pid: int

    def enter(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """The same command, inside the cluster's network."""
        return ("nsenter", f"--net=/proc/{self.pin_pid}/ns/net", "--", *command)

    def run(self, *command: str) -> None:
        """Run a short command inside the cluster's network."""
        _run(self.enter(command))


def make_network(run: Run) -> Network:
    """Make the namespace, choose addresses nobody routes, and link them to this machine."""
    pin_pid = run.start(Process(PIN, ("unshare", "--net", "sleep", "infinity")))
    own = _namespace("self")
    run.wait_until(lambda: _namespace(pin_pid) not in {"", own}, PIN, _READY_SECONDS)
    with _choosing():
        layout = choose_layout(_run(("ip", "-4", "route", "show", "table", "all")))
        for command in host_commands(layout, run.folder.link_name, pin_pid):
            _run(command)
    network = Network(layout, pin_pid)
    for command in cluster_commands(layout):
        network.run(*command)
    return network


def host_commands(layout: Layout, link: str, pin_pid: int) -> Iterator[tuple[str, ...]]:
    """This machine's side: a pair of interfaces, one of them given away, and the way to the cluster."""
    yield ("ip", "link", "add", link, "type", "veth", "peer", "name", UPLINK, "netns", str(pin_pid))
    yield ("ip", "address", "add", f"{layout.host}/24", "dev", link)
    yield ("ip", "link", "set", link, "up")
    # The link's carrier comes up with its other end; `onlink` lets the route, our mark, exist before that.
    yield ("ip", "route", "add", str(layout.network), "via", layout.cluster, "dev", link, "onlink")


def cluster_commands(layout: Layout) -> Iterator[tuple[str, ...]]:
    """The cluster's side: loopback, uplink, and forwarding between its nodes' bridges."""
    yield ("ip", "link", "set", "lo", "up")
    yield ("ip", "address", "add", f"{layout.cluster}/24", "dev", UPLINK)
    yield ("ip", "link", "set", UPLINK, "up")
    yield ("ip", "route", "add", "default", "via", layout.host)
    yield ("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")


def bridge_commands(name: str, address: str) -> Iterator[tuple[str, ...]]:
    """A node's bridge, there before its first pod, so that the node has an address."""
    yield ("ip", "link", "add", name, "type", "bridge")
    yield ("ip", "address", "add", f"{address}/24", "dev", name)
    yield ("ip", "link", "set", name, "up")


def _namespace(pid: int | str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


@contextmanager
def _choosing() -> Iterator[None]:
    """One testbed at a time chooses addresses, whoever runs it."""
    _CHOICE_LOCK.parent.mkdir(exist_ok=True)
    with _CHOICE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: tuple[str, ...]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise StartError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
    return finished.stdout
