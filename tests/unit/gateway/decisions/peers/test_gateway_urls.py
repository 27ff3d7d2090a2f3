"""Which gatewayURLs are allowed, and at which addresses they are connected to."""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.peers.gateway_urls import PeerUrl, parse_peer_url, refused_address
from voxfleet_gateway.errors import PeerUrlError

DOMAINS = ("tts.example.com",)
NETWORKS = (ip_network("10.9.0.0/16"), ip_network("fd09::/16"))
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://eu.tts.example.com", PeerUrl("eu.tts.example.com", 443)),
        ("https://tts.example.com:6007/", PeerUrl("tts.example.com", 6007)),
        ("https://EU.tts.Example.com.:6007", PeerUrl("eu.tts.example.com", 6007)),
        ("https://10.9.1.2:6007", PeerUrl("10.9.1.2", 6007)),
        ("https://[fd09::1]:6007", PeerUrl("fd09::1", 6007)),
    ],
)
def test_an_allowed_url_is_its_origin(text: str, expected: PeerUrl) -> None:
    assert parse_peer_url(text, DOMAINS, NETWORKS) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://eu.tts.example.com", "must be https://HOST"),
        ("eu.tts.example.com", "must be https://HOST"),
        ("https://", "must be https://HOST"),
        ("https://user@eu.tts.example.com", "must be https://HOST"),
        ("https://eu.tts.example.com:secret@evil.com", "must be https://HOST|is no URL"),
        ("https://eu.tts.example.com@evil.com", "must be https://HOST"),
        ("https://eu.tts.example.com/path", "no path"),
        ("https://eu.tts.example.com?x", "no path"),
        ("https://eu.tts.example.com#x", "no path"),
        ("https://eu.tts.example.com:0", "no port 0"),
        ("https://eu.tts.example.com:99999", "is no URL"),
        ("https://eu.tts.example.com:x", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://evil.com", "'evil.com' lies in none of the allowed domains: tts.example.com"),
        ("https://evil-tts.example.com", "lies in none"),
        ("https://tts.example.com.evil.com", "lies in none"),
        ("https://127.0.0.1", "lies in none"),
        ("https://10.8.0.1", "lies in none"),
        ("https://[::1]:6007", "lies in none"),
        ("https://2130706433", "lies in none"),
        ("https://localhost", "lies in none"),
        ("https://t\u0442s.tts.example.com", "lies in none"),
        ("https://" + "a." * 200 + "tts.example.com", "lies in none"),
    ],
)
def test_another_url_is_refused_with_what_would_be_right(text: str, reason: str) -> None:
    with pytest.raises(PeerUrlError, match=reason):
        parse_peer_url(text, DOMAINS, NETWORKS)


def test_without_domains_no_name_is_allowed() -> None:
    with pytest.raises(PeerUrlError, match="there are none"):
        parse_peer_url("https://eu.tts.example.com", (), ())


@given(st.text(max_size=60))
def test_whatever_the_url_a_host_that_is_allowed_lies_in_a_domain(text: str) -> None:
    for given_text in (text, "https://" + text, f"https://{text}.tts.example.com"):
        try:
            url = parse_peer_url(given_text, DOMAINS, ())
        except PeerUrlError:
            continue
        assert url.host == "tts.example.com" or url.host.endswith(".tts.example.com")
        assert 0 < url.port < 65536


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("::1", "loopback"),
        ("169.254.169.254", "link-local"), ("fe80::1", "link-local"), ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("224.0.0.1", "multicast"), ("ff02::1", "multicast"),  # noqa: S104
        ("255.255.255.255", "reserved"), ("fd00:ec2::254", "metadata"), ("100.100.100.200", "metadata"),
        ("::ffff:127.0.0.1", "loopback"), ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::7f00:1", "loopback"), ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:7f00:1::", "loopback"), ("2001:0:0:0:0:0:80ff:fffe", "loopback"), ("nonsense", "no address"),
    ],
)  # fmt: skip
def test_an_address_that_no_peer_has_is_refused(address: str, reason: str) -> None:
    assert reason in (refused_address(address, ()) or "")


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2a00::1", "fd12::1", "64:ff9b::808:808"])
def test_public_and_private_addresses_may_be_peers(address: str) -> None:
    assert refused_address(address, ()) is None


def test_a_test_may_name_loopback() -> None:
    assert refused_address("127.0.0.1", LOOPBACK) is None
    assert refused_address("::ffff:127.0.0.1", LOOPBACK) is None
    assert refused_address("169.254.0.1", LOOPBACK) is not None


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_however_it_is_embedded(address: IPv4Address) -> None:
    plain = refused_address(str(address), ())
    assert refused_address(f"::ffff:{address}", ()) == plain
    assert refused_address(f"64:ff9b::{address}", ()) == plain
