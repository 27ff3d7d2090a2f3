"""Which gatewayURLs are handed to gateways."""

from ipaddress import ip_network

import pytest
from voxfleet_operator.decisions.remote.peer_domains import AllowedPeers, gateway_url_problem
from voxfleet_operator.resources.spec.regions import Region

DOMAINS = ("tts.example.com", "example.org")


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("https://eu.tts.example.com", True),
        ("https://tts.example.com:8443/x", True),
        ("https://EU.EXAMPLE.ORG", True),
        ("https://example.org.", True),
        ("https://evil-example.org", False),
        ("https://example.com", False),
        ("https://example.org.evil.net", False),
        ("https://example.org@evil.net", False),
    ],
)
def test_a_host_is_within_a_domain_by_whole_labels(url: str, is_right: bool) -> None:  # noqa: FBT001 - a table's column
    problem = gateway_url_problem(Region(name="eu", gatewayURL=url), AllowedPeers(DOMAINS))
    assert (problem == "") is is_right
    if problem:
        assert "regions[eu].gatewayURL" in problem
        assert "allowedPeerDomains" in problem


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("https://10.1.2.3:6007", True),
        ("https://[fd00::1]", True),
        ("https://10.2.0.1", False),
        ("https://[::ffff:10.1.2.3]", False),
    ],
)
def test_an_address_is_within_a_network(url: str, is_right: bool) -> None:  # noqa: FBT001 - a table's column
    allowed = AllowedPeers(DOMAINS, (ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    assert (gateway_url_problem(Region(name="eu", gatewayURL=url), allowed) == "") is is_right


def test_without_domains_no_name_is_right() -> None:
    problem = gateway_url_problem(Region(name="eu", gatewayURL="https://x.net"), AllowedPeers())
    assert "regions[eu].gatewayURL https://x.net" in problem
    assert "allowedPeerDomains" in problem
    assert not gateway_url_problem(Region(name="eu"), AllowedPeers())
