"""The commands that make the cluster's network and its link."""

from __future__ import annotations

from voxfleet_testbed.network.addresses import CANDIDATES, Layout
from voxfleet_testbed.network.links import Network, bridge_commands, cluster_commands, host_commands

LAYOUT = Layout(CANDIDATES[0])


def test_the_route_that_reserves_the_network_is_added_with_the_link() -> None:
    commands = list(host_commands(LAYOUT, "vf12345678", 42))
    assert commands[0][:4] == ("ip", "link", "add", "vf12345678")
    assert ("ip", "route", "add", "10.64.0.0/16", "via", "10.64.0.2", "dev", "vf12345678", "onlink") in commands


def test_the_cluster_forwards_packets_and_routes_through_the_link() -> None:
    commands = list(cluster_commands(LAYOUT))
    assert ("ip", "route", "add", "default", "via", LAYOUT.host) in commands
    assert any("net.ipv4.ip_forward=1" in command for command in commands)


def test_a_bridge_has_the_nodes_address() -> None:
    assert ("ip", "address", "add", "10.64.1.1/24", "dev", "node1") in list(bridge_commands("node1", "10.64.1.1"))


def test_commands_run_in_the_held_network_namespace() -> None:
    assert Network(LAYOUT, 42).enter(("ip", "link")) == ("nsenter", "--net=/proc/42/ns/net", "--", "ip", "link")
