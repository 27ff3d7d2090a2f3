"""Which gatewayURLs are handed to gateways."""

import pytest
from voxfleet_operator.decisions.remote.peer_domains import gateway_url_problem
from voxfleet_operator.resources.regions import Region

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
    problem = gateway_url_problem(Region(name="eu", gatewayURL=url), DOMAINS)
    assert (problem == "") is is_right
    if problem:
        assert "regions[eu].gatewayURL" in problem
        assert "allowedPeerDomains" in problem


def test_without_domains_and_without_a_url_there_is_no_problem() -> None:
    assert not gateway_url_problem(Region(name="eu", gatewayURL="https://x.net"), ())
    assert not gateway_url_problem(Region(name="eu"), DOMAINS)
