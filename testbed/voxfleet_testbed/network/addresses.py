"""Choose addresses that are free on this machine.

Does: picks a /16 that no route touches, lays a cluster out in it, picks free ports.
Knows: the text of `ip route`. Does not know: how interfaces are made.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voxfleet_testbed.errors import UnavailableError

CANDIDATES = tuple(ipaddress.IPv4Network(f"10.{second}.0.0/16") for second in range(64, 256))
SERVICE_PREFIX_BITS = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """One cluster's part of the address space, a /16.

    x.0.0/24 links this machine and the cluster, x.N.0/24 is node N's pods, x.128.0/20 is for Services.
    """

    network: ipaddress.IPv4Network

    @property
    def host(self) -> str:
        """This machine's end of the link."""
        return str(self.network[1])

    @property
    def cluster(self) -> str:
        """The cluster's end of the link; the API server and DNS listen here."""
        return str(self.network[2])

    @property
    def services(self) -> ipaddress.IPv4Network:
        """Where Services get their addresses."""
        return ipaddress.IPv4Network((int(self.network[0]) + (128 << 8), SERVICE_PREFIX_BITS))

    @property
    def kubernetes_service(self) -> str:
        """The address of `kubernetes.default`: always the first."""
        return str(self.services[1])

    @property
    def dns_service(self) -> str:
        """The address of `kube-dns`: by custom the tenth."""
        return str(self.services[10])

    def pods(self, node_number: int) -> ipaddress.IPv4Network:
        """The pod addresses of the N-th node, counted from 1."""
        if not 1 <= node_number <= 100:  # noqa: PLR2004 - x.101.0 to x.127.0 stay free for simulated nodes
            raise ValueError(f"node numbers run from 1 to 100, not {node_number}")
        return ipaddress.IPv4Network((int(self.network[0]) + (node_number << 8), 24))

    def gateway(self, node_number: int) -> str:
        """The N-th node's own address: its bridge, and its pods' way out."""
        return str(self.pods(node_number)[1])


def choose_layout(routes: str, order: Iterable[ipaddress.IPv4Network] | None = None) -> Layout:
    """Pick a /16 that overlaps no route in the text of `ip -4 route show table all`."""
    taken = tuple(routed_networks(routes))
    candidates = order if order is not None else random.sample(CANDIDATES, len(CANDIDATES))
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in taken):
            return Layout(candidate)
    raise UnavailableError("every network from 10.64.0.0/16 to 10.255.0.0/16 is routed already; take a testbed down")


def routed_networks(routes: str) -> Iterator[ipaddress.IPv4Network]:
    """The destinations in the text of `ip route`; a default route takes nothing."""
    for line in routes.splitlines():
        for word in line.split()[:2]:
            with contextlib.suppress(ValueError):
                yield ipaddress.IPv4Network(word, strict=False)
                break


def loopback_address(run_number: int) -> str:
    """An address of this machine's own 127.0.0.0/8 for one run, so that two runs hardly ever meet on a port."""
    return str(ipaddress.IPv4Address(0x7F400000 + run_number % 0x3FFFFE + 1))


def free_ports(address: str, count: int) -> tuple[int, ...]:
    """Ports nobody listens on, held together while choosing so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((address, 0))
        return tuple(each.getsockname()[1] for each in sockets)
