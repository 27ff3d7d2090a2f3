"""The engine that enforces NetworkPolicies on a node: kube-network-policies, in the node's network namespace.

Does: queues every packet that opens a connection, starts the engine that passes or drops it, waits until it does.
Knows: iptables, and the kernel's list of queues. Does not know: which policies there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.network.links import Network
from voxfleet_testbed.supervision.processes import Process

PROCESS = "kube-network-policies"
QUEUE = 100
READY_SECONDS = 60.0


def queue_commands() -> Iterator[tuple[str, ...]]:
    """Yield the commands that give packets to the engine.

    They are the rules that the engine makes by nftables, for all pods. A kernel without CONFIG_NFT_QUEUE refuses those,
    and the engine goes on without them. The order of the hooks is the engine's too: after Services' addresses are
    replaced, before sources are. What the node's root sends (a kubelet's probes) passes, as Kubernetes asks.
    """
    for program in ("iptables", "ip6tables"):
        rule = (program, "--wait", "--table", "mangle", "--append", "POSTROUTING")
        if program == "ip6tables":
            yield (*rule, "--protocol", "ipv6-icmp", "--jump", "ACCEPT")  # the search for neighbours
        yield (*rule, "--match", "owner", "--uid-owner", "0", "--jump", "ACCEPT")
        yield (*rule, "--match", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "--jump", "ACCEPT")
        # Of a queue that no process reads the kernel drops everything: nothing passes while the engine starts.
        yield (*rule, "--jump", "NFQUEUE", "--queue-num", str(QUEUE))


def queues(listing: str) -> frozenset[int]:
    """Return the queues that a process reads, from the text of /proc/net/netfilter/nfnetlink_queue."""
    return frozenset(int(line.split()[0]) for line in listing.splitlines() if line.strip())


def start_engine(control_plane: ControlPlane, network: Network, node: str) -> None:
    """Start the engine and wait until it decides, by the policies and pods that exist now.

    Raises:
        StartError: it ended, or did not listen in time.
    """
    program = control_plane.programs.path(PROCESS)
    command = (str(program), f"-kubeconfig={control_plane.kubeconfig}", f"-node={node}", f"-queue={QUEUE}")
    control_plane.run.start(Process(PROCESS, network.enter(command)))
    # It listens once it has read them all.
    listing = Path(f"/proc/{network.pin_pid}/net/netfilter/nfnetlink_queue")
    control_plane.run.wait_until(lambda: QUEUE in queues(listing.read_text()), PROCESS, READY_SECONDS)
