"""Whose request it is, whatever a client writes into the header."""

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.location.client_address import (
    MAX_HOPS,
    AddressHeader,
    client_address,
    is_among,
    parse_address,
)
from voxfleet_gateway.settings import parse_networks

TRUSTED = parse_networks("10.0.0.0/8, fd00::/8")
PROXY = ip_address("10.0.0.1")
FOR: AddressHeader = "X-Forwarded-For"


def client(values: list[str], peer: str | None = "10.0.0.1", header: AddressHeader = FOR) -> str | None:
    found = client_address(ip_address(peer) if peer else None, values, header, TRUSTED)
    return str(found) if found else None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ('"192.0.2.1:443"', "192.0.2.1"),
        ("192.0.2.1:_gazonk", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:1", "192.0.2.1"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("192.0.2.1:", None),
        ("192.0.2.1:port", None),
        ("192.0.2.1:443000", None),
        ("192.0.2.01", None),
        ("192.0.2", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]443", None),
        ("2001:db8::1%eth0", None),
        ("fe80::1%25eth0", None),
        ("https://192.0.2.1", None),
        ("\u0661\u0669\u0662.0.2.1", None),
    ],
)
def test_addresses_are_read_as_proxies_write_them(text: str, address: str | None) -> None:
    found = parse_address(text)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("values", "address"),
    [
        pytest.param(["192.0.2.1"], "192.0.2.1", id="one proxy"),
        pytest.param(["192.0.2.1, 10.0.0.9"], "192.0.2.1", id="two proxies"),
        pytest.param(["192.0.2.1", "10.0.0.9"], "192.0.2.1", id="two headers are one list"),
        pytest.param(["10.0.0.9, 192.0.2.1"], "192.0.2.1", id="a client that claims to be a proxy"),
        pytest.param(["198.51.100.7, 192.0.2.1, 10.0.0.9"], "192.0.2.1", id="a client that invents a source"),
        pytest.param(["198.51.100.7", "192.0.2.1"], "192.0.2.1", id="an invented header before the proxy's"),
        pytest.param(["garbage, 192.0.2.1"], "192.0.2.1", id="garbage on the left is never read"),
        pytest.param(["192.0.2.1, , 10.0.0.9,"], "192.0.2.1", id="empty elements"),
        pytest.param(["192.0.2.1, ::ffff:10.0.0.9"], "192.0.2.1", id="a mapped proxy"),
        pytest.param(["192.0.2.1, [fd00::7]:8080"], "192.0.2.1", id="a proxy with a port"),
        pytest.param(["unknown"], None, id="a proxy that does not know"),
        pytest.param(["192.0.2.1, unknown"], None, id="what is beyond an unknown hop is not believed"),
        pytest.param(["192.0.2.1, garbage"], None, id="nor beyond a malformed one"),
        pytest.param(["10.0.0.8, 10.0.0.9"], "10.0.0.8", id="a client inside the trusted network"),
        pytest.param([], None, id="no header"),
        pytest.param(["192.0.2.1" + ", 10.0.0.9" * MAX_HOPS], None, id="an endless chain"),
    ],
)
def test_the_list_is_read_from_the_right_as_far_as_it_is_trusted(values: list[str], address: str | None) -> None:
    assert client(values) == address


def test_an_untrusted_peer_is_not_believed() -> None:
    assert client(["198.51.100.7"], peer="192.0.2.1") == "192.0.2.1"
    assert client(["198.51.100.7"], peer=None) is None


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ('For="192.0.2.1:80";proto=https;by=203.0.113.43', "192.0.2.1"),
        ('proto=https; for="[2001:db8::1]:4711"', "2001:db8::1"),
        ('for=198.51.100.7, for="192.0.2.1", for=10.0.0.9', "192.0.2.1"),
        ('for=192.0.2.1;host="a,for=198.51.100.7"', "192.0.2.1"),
        ('for=192.0.2.1;host="a\\",b"', "192.0.2.1"),
        ("for=unknown", None),
        ("for=_hidden", None),
        ("proto=https", None),
        ("for=192.0.2.1;for=198.51.100.7", None),
        ('for="192.0.2.1', None),
        ("192.0.2.1", None),
    ],
)
def test_forwarded_is_read_by_rfc_7239(value: str, address: str | None) -> None:
    assert client([value], header="Forwarded") == address


addresses = st.ip_addresses()
forms = st.sampled_from(["{}", " {} ", '"{}"']) | st.just("{}")


@given(st.lists(st.text(max_size=20) | addresses.map(str), max_size=8), addresses, st.data())
def test_what_a_client_writes_never_changes_the_result(invented: list[str], source: Any, data: Any) -> None:
    """A trusted proxy appends the client's address, in its own header or at the end of the client's."""
    if is_among(source, TRUSTED) or getattr(source, "ipv4_mapped", None):
        return
    appended = data.draw(forms).format(source)
    one = [", ".join([*invented, appended])]
    two = [", ".join(invented), appended]
    assert client(one) == client(two) == client([appended]) == str(source)


@given(st.lists(st.text(max_size=60), max_size=4), st.sampled_from(["X-Forwarded-For", "Forwarded"]))
def test_any_header_is_read_without_an_error(values: list[str], header: AddressHeader) -> None:
    client_address(PROXY, values, header, TRUSTED)
