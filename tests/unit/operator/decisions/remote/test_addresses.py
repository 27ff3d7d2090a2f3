"""Addresses that an author may not make the operator connect to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.remote.addresses import address_problem, parse_networks


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_right(text: str) -> None:
    assert not address_problem(text, ())


def test_what_is_no_address_is_refused() -> None:
    assert "no address" in address_problem("example.com", ())


def test_a_link_local_address_with_a_zone_is_one() -> None:
    assert "link-local" in address_problem("fe80::1%eth0", ())


@pytest.mark.parametrize("text", ["10.0.0.1/8", "x", "10.0.0.0/99"])
def test_a_network_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("/")[0]):
        parse_networks(text)


@given(st.ip_addresses())
def test_property_every_address_is_public_or_refused_unless_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    problem = address_problem(str(address), ())
    assert problem or address.is_global
    everything = parse_networks("0.0.0.0/0,::/0")
    assert not address_problem(str(address), everything)


@given(st.ip_addresses(v=4))
def test_property_an_address_within_ipv6_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    is_refused = bool(address_problem(str(address), ()))
    for form in (
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::",
    ):
        assert bool(address_problem(form, ())) == is_refused
