"""Addresses that are free on this machine.

Does: chooses a /16 that no route overlaps, divides it for a cluster, chooses free ports, finds an own address.
Knows: the output of `ip route`. Does not know: how interfaces are made.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import random
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.errors import UnavailableError

# From 10.64 on, because networks of clouds and offices are mostly numbered from 10.0 up.
CANDIDATES = tuple(ipaddress.IPv4Network(f"10.{second}.0.0/16") for second in range(64, 256))
SERVICE_PREFIX_BITS = 20
EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORT_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """The addresses of one cluster, from its /16.

    x.0.0/24 is the link between this machine and the cluster, x.N.0/24 node N's pods, x.128.0/20 the Services.
    """

    network: ipaddress.IPv4Network

    @property
    def host(self) -> str:
        """This machine's end of the link."""
        return str(self.network[1])

    @property
    def cluster(self) -> str:
        """The cluster's end of the link, the address of the API server and DNS."""
        return str(self.network[2])

    @property
    def services(self) -> ipaddress.IPv4Network:
        """The range of Service addresses."""
        return ipaddress.IPv4Network((int(self.network[0]) + (128 << 8), SERVICE_PREFIX_BITS))

    @property
    def kubernetes_service(self) -> str:
        """The address of Service `kubernetes.default`: the API server always takes the range's first."""
        return str(self.services[1])

    @property
    def dns_service(self) -> str:
        """The address of Service `kube-dns`: the tenth, as kubeadm has it."""
        return str(self.services[10])

    def pods(self, node_number: int) -> ipaddress.IPv4Network:
        """Return the pod addresses of the N-th node, counted from 1.

        Raises:
            ValueError: the number is not from 1 to 100.
        """
        if not 1 <= node_number <= 100:  # noqa: PLR2004 - x.101.0 to x.127.0 stay free for simulated nodes
            raise ValueError(f"node numbers run from 1 to 100, not {node_number}")
        return ipaddress.IPv4Network((int(self.network[0]) + (node_number << 8), 24))

    def gateway(self, node_number: int) -> str:
        """Return the N-th node's own address: that of its bridge, which is its pods' default gateway."""
        return str(self.pods(node_number)[1])


def choose_layout(routes: str, order: Iterable[ipaddress.IPv4Network] | None = None) -> Layout:
    """Choose a /16 that overlaps no route.

    Args:
        routes: the output of `ip -4 route show table all`.
        order: the candidates in order of preference; None: random, so that two clusters rarely choose the same.

    Raises:
        UnavailableError: every candidate overlaps a route.
    """
    taken = tuple(routed_networks(routes))
    candidates = order if order is not None else random.sample(CANDIDATES, len(CANDIDATES))
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in taken):
            return Layout(candidate)
    raise UnavailableError("every network from 10.64.0.0/16 to 10.255.0.0/16 is routed already; take a testbed down")


def routed_networks(routes: str) -> Iterator[ipaddress.IPv4Network]:
    """Yield the destinations in the output of `ip route`; a default route reserves nothing."""
    for line in routes.splitlines():
        for word in line.split()[:2]:  # the destination is second after a type, such as `local` or `blackhole`
            with contextlib.suppress(ValueError):
                yield ipaddress.IPv4Network(word, strict=False)
                break


def loopback_address(run_number: int) -> str:
    """Return an address in 127.64.0.0/10 for one run, so that two runs rarely compete for a port."""
    return str(ipaddress.IPv4Address(0x7F400000 + run_number % 0x3FFFFE + 1))


def loopback_range(run_number: int) -> str:
    """Return a /20 of 127.128.0.0/9 for one run's simulated pods; it overlaps no address of `loopback_address`."""
    return str(ipaddress.IPv4Network((0x7F800000 + (run_number % 0x7FF << 12), 20)))


def free_ports(address: str, count: int) -> tuple[int, ...]:
    """Return ports of an address that no process has (TCP and UDP), and that no outgoing connection takes meanwhile.

    They are below the range that the kernel takes the ports of connections from: a process that takes a second to start
    would find one of those in use now and then.
    """
    first_ephemeral = int(EPHEMERAL_PORTS.read_text().split()[0])
    candidates = random.sample(range(first_ephemeral // 2, first_ephemeral), PORT_CANDIDATES)
    return tuple(itertools.islice((port for port in candidates if _is_free(address, port)), count))


def ports_for_later(count: int) -> list[int]:
    """Return free ports of loopback."""
    return list(free_ports("127.0.0.1", count))


def _is_free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def own_address() -> str:
    """Return an address of this machine that an EndpointSlice may hold: the API server refuses loopback there.

    Raises:
        UnavailableError: this machine has loopback only.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.254", 9))  # reserved for documentation; no packet is sent
        except OSError as error:
            raise UnavailableError(f"this machine has no address beside loopback: {error}; add a route") from error
        return str(probe.getsockname()[0])
