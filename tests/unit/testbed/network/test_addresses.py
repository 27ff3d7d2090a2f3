"""Free addresses: which routes reserve a network, and how a cluster's /16 is divided."""

from __future__ import annotations

import ipaddress
import socket
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.network.addresses import (
    CANDIDATES,
    EPHEMERAL_PORTS,
    Layout,
    choose_layout,
    free_ports,
    loopback_address,
    loopback_range,
    own_address,
    ports_for_later,
    routed_networks,
)

ROUTES = """default via 192.0.2.1 dev eth0
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2
10.64.0.0/16 via 10.64.0.2 dev vf00000000 onlink
local 10.65.3.9 dev eth1 table local proto kernel scope host src 10.65.3.9
blackhole 10.66.0.0/14
"""


candidates = st.sampled_from(CANDIDATES)


def test_every_form_of_route_is_read() -> None:
    networks = {str(network) for network in routed_networks(ROUTES)}
    assert networks == {"192.0.2.0/24", "10.64.0.0/16", "10.65.3.9/32", "10.64.0.0/14"}


def test_the_default_route_reserves_nothing() -> None:
    assert list(routed_networks("default via 192.0.2.1 dev eth0")) == []


def test_a_network_that_overlaps_a_route_is_not_chosen() -> None:
    layout = choose_layout(ROUTES, order=CANDIDATES)
    assert str(layout.network) == "10.68.0.0/16"


def test_a_single_routed_address_reserves_its_network() -> None:
    assert str(choose_layout("10.64.200.7 dev eth1", order=CANDIDATES).network) == "10.65.0.0/16"


def test_no_free_network_is_one_clear_line() -> None:
    with pytest.raises(UnavailableError, match="every network from"):
        choose_layout("10.0.0.0/8 via 192.0.2.1 dev eth0")


@given(st.lists(st.ip_addresses(v=4).map(lambda address: f"{address}/32 dev eth0"), max_size=20))
def test_the_chosen_network_overlaps_no_route(routes: list[str]) -> None:
    text = "\n".join(routes)
    chosen = choose_layout(text).network
    assert not any(chosen.overlaps(network) for network in routed_networks(text))


@given(candidates, st.integers(1, 100), st.integers(1, 100))
def test_parts_of_a_layout_never_overlap(network: ipaddress.IPv4Network, first: int, second: int) -> None:
    layout = Layout(network)
    link = ipaddress.IPv4Network(f"{layout.host}/24", strict=False)
    parts = {link, layout.services, layout.pods(first), layout.pods(second)}
    assert all(part.subnet_of(network) for part in parts)
    assert not any(one.overlaps(other) for one in parts for other in parts if one != other)


@given(candidates)
def test_every_address_is_in_its_range(network: ipaddress.IPv4Network) -> None:
    layout = Layout(network)
    assert ipaddress.ip_address(layout.dns_service) in layout.services
    assert ipaddress.ip_address(layout.kubernetes_service) in layout.services
    assert ipaddress.ip_address(layout.gateway(7)) in layout.pods(7)
    assert layout.host != layout.cluster


@pytest.mark.parametrize("number", [0, 101, -1])
def test_node_numbers_are_bounded(number: int) -> None:
    with pytest.raises(ValueError, match=f"not {number}"):
        Layout(CANDIDATES[0]).pods(number)


@given(st.integers(0, 2**32 - 1))
def test_loopback_addresses_are_this_machines_own(run_number: int) -> None:
    address = ipaddress.ip_address(loopback_address(run_number))
    assert address.is_loopback
    assert address not in {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("127.255.255.255")}


@given(st.integers(0, 2**32 - 1))
def test_a_loopback_range_is_this_machines_own_and_has_no_runs_address(run_number: int) -> None:
    pods = ipaddress.ip_network(loopback_range(run_number))
    assert pods.is_loopback
    assert ipaddress.ip_address("127.255.255.255") not in pods
    assert ipaddress.ip_address(loopback_address(run_number)) not in pods


def test_free_ports_can_be_listened_on() -> None:
    ports = free_ports(loopback_address(5), 4)
    assert len(set(ports)) == 4
    assert all(port > 1023 for port in ports)


def test_free_ports_differ() -> None:
    assert len(set(free_ports("127.0.0.1", 5))) == 5


def test_ports_for_later_are_free_and_out_of_the_kernels_reach() -> None:
    first_ephemeral = int(EPHEMERAL_PORTS.read_text().split()[0])
    ports = ports_for_later(5)
    assert len(set(ports)) == 5
    assert all(1023 < port < first_ephemeral for port in ports)


def test_a_port_that_is_listened_on_is_not_for_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        used = [each.getsockname()[1] for each in (taken, other)]
        free = ports_for_later(1)
        with patch("random.sample", return_value=[*used, *free]):
            assert ports_for_later(2) == free


def test_the_own_address_is_the_one_that_packets_leave_from() -> None:
    with patch("socket.socket.connect"), patch("socket.socket.getsockname", return_value=("10.1.2.3", 5)):
        assert own_address() == "10.1.2.3"


def test_a_machine_with_loopback_only_has_no_own_address() -> None:
    unreachable = OSError(101, "Network is unreachable")
    with (
        patch("socket.socket.connect", side_effect=unreachable),
        pytest.raises(UnavailableError, match=r"no address beside loopback.*unreachable"),
    ):
        own_address()
