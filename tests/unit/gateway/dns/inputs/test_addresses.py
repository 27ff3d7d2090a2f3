"""Hosts of gatewayURLs: what may be published, and what stays when a name does not resolve."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from voxfleet_gateway.decisions.dns.records import Endpoint
from voxfleet_gateway.dns.inputs.addresses import GatewayAddresses, is_publishable


@pytest.mark.parametrize(
    ("address", "publishable", "private"),
    [
        ("8.8.8.8", True, True),
        ("2a00:1450::1", True, True),
        ("10.0.0.1", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("127.0.0.1", False, False),
        ("169.254.169.254", False, False),
        ("::1", False, False),
        ("64:ff9b::7f00:1", False, False),  # 127.0.0.1 behind a NAT64 gateway
        ("fd00:ec2::254", False, False),  # a cloud's metadata
        ("fe80::1", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
    ],
)
def test_which_addresses_are_published(address: str, publishable: bool, private: bool) -> None:  # noqa: FBT001
    assert is_publishable(ip_address(address), allow_private=False) == publishable
    assert is_publishable(ip_address(address), allow_private=True) == private


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that resolve, with their addresses."""
    known: dict[str, list[str]] = {}

    async def getaddrinfo(_loop: Any, host: str, port: int, **_more: Any) -> list[Any]:
        await asyncio.sleep(0)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


async def test_hosts_are_resolved_and_kept_while_they_do_not(names: dict[str, list[str]]) -> None:
    addresses = GatewayAddresses(allow_private=False, alpn=("h2",))
    names["eu.example.com"] = ["8.8.8.8", "10.0.0.1", "8.8.4.4"]
    await addresses.resolve(["https://eu.example.com:6007", "https://none.example.com", ""])
    expected = Endpoint((ip_address("8.8.4.4"), ip_address("8.8.8.8")), 443, ("h2",))  # not the port for peers
    assert addresses.endpoints == {"https://eu.example.com:6007": expected}
    names.clear()
    await addresses.resolve(["https://eu.example.com:6007"])
    assert addresses.endpoints == {"https://eu.example.com:6007": expected}
    await addresses.resolve([])
    assert addresses.endpoints == {}


@pytest.mark.parametrize("url", ["https://eu.example.com:99999", "https://[", "https://", "eu"])
async def test_a_url_that_cannot_be_resolved_has_no_endpoint(names: dict[str, list[str]], url: str) -> None:
    assert names == {}
    addresses = GatewayAddresses(allow_private=True)
    await addresses.resolve([url])
    assert addresses.endpoints == {}


async def test_private_addresses_alone_are_not_published(names: dict[str, list[str]]) -> None:
    names["eu"] = ["10.0.0.1"]
    strict, lax = GatewayAddresses(allow_private=False), GatewayAddresses(allow_private=True)
    for addresses in (strict, lax):
        await addresses.resolve(["https://eu"])
    assert (len(strict.endpoints), len(lax.endpoints)) == (0, 1)
