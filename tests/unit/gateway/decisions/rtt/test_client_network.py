"""Addresses and the networks that they are taken for."""

from ipaddress import ip_address

import pytest
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork, client_network, prefix_of
from voxfleet_gateway.regions import Location


@pytest.mark.parametrize(
    ("address", "prefix"), [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("::1", "::/48")]
)
def test_an_address_stands_for_its_prefix(address: str, prefix: str) -> None:
    assert prefix_of(ip_address(address)) == prefix


def test_a_network_has_what_the_database_says() -> None:
    facts = AddressFacts("192.0.0.0/16", "DE", 64496, 50.1109, 8.6821)
    network = client_network(ip_address("192.0.2.77"), facts)
    assert network == ClientNetwork("192.0.2.0/24", 64496, "DE", Location(50.11, 8.68))
    assert client_network(ip_address("192.0.2.77"), None) == ClientNetwork("192.0.2.0/24")
