"""Pods without containers: a network namespace each, linked to the node, and a Pod object with its addresses.

Knows: `ip`, and what an engine reads of a Pod. Does not know: what a pod is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

INTERFACE = "eth0"


@dataclass(frozen=True, slots=True)
class Peer:
    """A network namespace that connects, or is connected to; `pid` holds it, `addresses` are one per family."""

    name: str
    pid: int
    addresses: tuple[str, ...]


def node_lines(link: str, peer: Peer, gateways: Iterable[str]) -> Iterator[str]:
    """Yield the lines of `ip -batch` for the node's side: a link, and the routes to the peer."""
    yield f"link add {link} type veth peer name {INTERFACE} netns {peer.pid}"
    yield f"link set {link} up"
    for gateway in gateways:
        yield _add_address(gateway, link)
    for address in peer.addresses:
        yield f"route add {address} dev {link}"


def peer_lines(peer: Peer, gateways: Iterable[str]) -> Iterator[str]:
    """Yield the lines of `ip -batch` for the peer's side: its addresses, and every route through the node."""
    yield "link set lo up"
    yield f"link set {INTERFACE} up"
    for address in peer.addresses:
        yield _add_address(address, INTERFACE)
    for gateway in gateways:
        yield f"route add {gateway} dev {INTERFACE}"
        yield f"route add default via {gateway}"


def _add_address(address: str, device: str) -> str:
    # nodad: the search for an equal IPv6 address would take a second.
    return (
        f"address add {address}/128 dev {device} nodad" if ":" in address else f"address add {address}/32 dev {device}"
    )


def pod(name: str, namespace: str, labels: Mapping[str, str], node: str) -> dict[str, Any]:
    """Return a Pod that no kubelet runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": False,
            "containers": [{"name": "none", "image": "none"}],
        },
    }


def running_at(addresses: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the JSON patch by which a pod's status says what a kubelet would: it runs, at these addresses."""
    values = {"phase": "Running", "podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses]}
    return [{"op": "add", "path": f"/status/{name}", "value": value} for name, value in values.items()]
