"""The links of a pod that is a network namespace, and its object."""

from __future__ import annotations

from voxfleet_testbed.policies.pods import Peer, node_lines, peer_lines, pod, running_at

PEER = Peer("shop", 42, ("10.64.1.2", "fd76:6f78::2"))
GATEWAYS = ("10.64.1.1", "fd76:6f78::1")


def test_the_node_has_a_route_to_each_address_of_the_peer() -> None:
    lines = list(node_lines("peer1", PEER, GATEWAYS))
    assert lines[0] == "link add peer1 type veth peer name eth0 netns 42"
    assert {"route add 10.64.1.2 dev peer1", "route add fd76:6f78::2 dev peer1"} <= set(lines)
    assert "address add 10.64.1.1/32 dev peer1" in lines


def test_every_route_of_the_peer_goes_through_the_node() -> None:
    lines = list(peer_lines(PEER, GATEWAYS))
    assert {"route add default via 10.64.1.1", "route add default via fd76:6f78::1"} <= set(lines)
    assert lines.index("route add 10.64.1.1 dev eth0") < lines.index("route add default via 10.64.1.1")
    assert "address add fd76:6f78::2/128 dev eth0 nodad" in lines


def test_a_pod_is_bound_to_its_node_and_has_its_addresses() -> None:
    made = pod("shop", "default", {"app": "shop"}, "policed")
    assert made["spec"]["nodeName"] == "policed"
    assert made["metadata"]["labels"] == {"app": "shop"}
    patch = {each["path"]: each["value"] for each in running_at(PEER.addresses)}
    assert patch["/status/podIPs"] == [{"ip": "10.64.1.2"}, {"ip": "fd76:6f78::2"}]
    assert patch["/status/phase"] == "Running"
