"""URLs of resources' authors are held to the gateways' rules; those of the zone file are not."""

from ipaddress import ip_network

import pytest
from structlog.testing import capture_logs
from voxfleet_gateway.dns.inputs.url_rules import MAX_KEPT, UrlRules

RULES = ("example.net",)


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("", False),  # none is none
        ("https://eu.example.net", True),
        ("https://eu.example.net:6007/", True),
        ("https://example.org", False),
        ("http://eu.example.net", False),
        ("https://user@eu.example.net", False),
        ("https://10.0.0.1", True),
        ("https://10.1.0.1", False),
    ],
)
def test_which_urls_are_followed(url: str, *, is_allowed: bool) -> None:
    rules = UrlRules(RULES, (ip_network("10.0.0.0/16"),))
    assert rules.allowed(url, set()) == (url if is_allowed else "")
    assert rules.allowed(url, {url}) == url


def test_a_refused_url_is_logged_once_with_the_way_out() -> None:
    rules = UrlRules(RULES)
    with capture_logs() as lines:
        for _ in range(3):
            assert rules.allowed("https://elsewhere.example.org", set()) == ""
    assert len(lines) == 1
    assert "allowedPeerDomains" in lines[0]["error"]


def test_what_is_kept_is_bounded() -> None:
    rules = UrlRules(RULES)
    for number in range(MAX_KEPT + 2):
        rules.allowed(f"https://r{number}.example.net", set())
    assert len(rules.found) <= MAX_KEPT
