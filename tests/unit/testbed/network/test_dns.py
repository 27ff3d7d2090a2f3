"""CoreDNS' configuration, its Service and its endpoints fit together."""

from __future__ import annotations

from pathlib import Path

from voxfleet_testbed.network import dns
from voxfleet_testbed.network.addresses import CANDIDATES, Layout

LAYOUT = Layout(CANDIDATES[0])


def test_dns_service_and_endpoints_fit_together() -> None:
    service, endpoints = dns.service(LAYOUT.dns_service), dns.endpoint_slice(LAYOUT.cluster)
    assert [port["name"] for port in service["spec"]["ports"]] == [port["name"] for port in endpoints["ports"]]
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
    assert {port["port"] for port in endpoints["ports"]} == {dns.PORT}


def test_the_corefile_answers_on_one_address() -> None:
    text = dns.corefile("10.64.0.2", Path("/kubeconfig"), "here")
    assert "bind 10.64.0.2" in text
    assert "kubeconfig /kubeconfig here" in text
    assert text.count("{") == text.count("}")
