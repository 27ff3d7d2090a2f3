"""The chart's and the operator's NetworkPolicies, enforced: every row of a table is a real connection between pods.

Each row is tried by IPv4 and, where both ends have it, IPv6.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from voxfleet_testbed.settings import REPOSITORY

if TYPE_CHECKING:
    from conftest import Policed, Row

# (from, to, port, may they with policies, may they with networkPolicy.egress too). "/UDP" after the port's number.
TABLE: list[tuple[str, str, str, bool, bool]] = [
    ("internet", "gateway", "6006", True, True),
    ("pod", "gateway", "6006", True, True),
    ("proxy", "gateway", "6006", True, True),
    ("notebook", "gateway", "6006", True, True),
    ("internet", "gateway", "6007", True, True),  # gateways of other regions
    ("operator", "gateway", "9091", True, True),
    ("gateway", "gateway-two", "9091", True, True),
    ("gateway", "gateway-two", "6006", True, True),
    ("dns", "gateway", "9091", True, True),
    ("server", "gateway", "9091", True, True),  # voices
    ("other-server", "gateway", "9091", True, True),
    ("pod", "gateway", "9091", False, False),
    ("internet", "gateway", "9091", False, False),
    ("impostor", "gateway", "9091", False, False),
    ("notebook", "gateway", "9091", False, False),
    ("prometheus", "gateway", "9091", False, False),
    ("prometheus", "gateway", "9090", True, True),
    ("pod", "gateway", "9090", False, False),
    ("gateway", "server", "6006", True, True),
    ("gateway", "other-server", "6006", True, True),
    ("pod", "server", "6006", False, False),
    ("impostor", "server", "6006", False, False),
    ("proxy", "server", "6006", False, False),
    ("internet", "server", "6006", False, False),
    ("notebook", "server", "6006", False, False),
    ("operator", "server", "6006", False, False),
    ("other-server", "server", "6006", False, False),
    ("gateway", "server", "9091", True, True),
    ("operator", "server", "9091", True, True),
    ("operator", "fetcher", "9091", True, True),  # progress of weights
    ("pod", "server", "9091", False, False),
    ("pod", "fetcher", "9091", False, False),
    ("dns", "server", "9091", False, False),
    ("prometheus", "server", "9090", True, True),
    ("prometheus", "server", "9091", False, False),
    ("pod", "server", "9090", False, False),
    ("prometheus", "operator", "9090", True, True),
    ("pod", "operator", "9090", False, False),
    ("pod", "operator", "8080", False, False),
    ("gateway", "operator", "9090", False, False),
    ("internet", "dns", "5353/UDP", True, True),
    ("internet", "dns", "5353", True, True),
    ("prometheus", "dns", "9090", True, True),
    ("pod", "dns", "9090", False, False),
    ("proxy", "notebook", "8888", True, True),
    ("pod", "notebook", "8888", False, False),
    ("internet", "notebook", "8888", False, False),
    ("notebook", "kubernetes-service", "443", False, False),
    ("notebook", "api-server", "6443", False, False),
    ("notebook", "metadata", "80", False, False),
    ("notebook", "wire-server", "80", False, False),
    ("notebook", "pod", "80", False, False),
    ("notebook", "internet", "443", False, False),
    ("notebook", "internet", "5353/UDP", False, False),
    ("operator", "kubernetes-service", "443", True, True),
    ("operator", "api-server", "6443", True, True),
    ("gateway", "kubernetes-service", "443", True, True),
    ("dns", "kubernetes-service", "443", True, True),
    ("operator", "internet", "443", True, False),
    ("operator", "pod", "80", True, False),
    ("gateway", "internet", "443", True, False),
    ("gateway", "metadata", "80", True, False),
    ("gateway", "pod", "80", True, False),
    ("dns", "internet", "443", True, False),
    ("gateway", "other-region", "6007", True, True),  # networkPolicy.egress.extra
    ("gateway", "other-region", "443", True, False),
    ("server", "internet", "443", True, True),  # weights
    # Drains of a hub, by pods/proxy: docs/remote-regions.md has the policy that allows them.
    ("api-server", "server", "9091", False, False),
    ("api-server", "gateway", "9091", False, False),
    # What a kubelet probes.
    ("node", "gateway", "6006", True, True),
    ("node", "server", "9091", True, True),
    ("node", "operator", "8080", True, True),
    ("node", "notebook", "8888", True, True),
    *((each, "kube-dns", f"53{kind}", True, True) for each in ("gateway", "notebook") for kind in ("", "/UDP")),
    *((each, "openshift-dns", f"5353{kind}", True, True) for each in ("gateway", "notebook") for kind in ("", "/UDP")),
    *(
        (each, "dns-service", "53/UDP", True, True)
        for each in ("gateway", "operator", "dns", "notebook", "server", "pod")
    ),
]
INTERNET_ROWS = [
    ("notebook", "internet", "443", True),
    ("notebook", "gateway", "6006", True),
    ("notebook", "metadata", "80", False),
    ("notebook", "wire-server", "80", False),
    ("notebook", "pod", "80", False),
    ("notebook", "server", "6006", False),
    ("notebook", "api-server", "6443", False),
]


def test_without_policies_every_connection_comes_about(policed: Policed) -> None:
    policed.enforce(policies=False)
    rows = {(source, target, port, True) for source, target, port, *_allowed in (*TABLE, *INTERNET_ROWS)}
    assert not policed.wrong(sorted(rows))


def test_the_table(policed: Policed) -> None:
    policed.enforce()
    assert not policed.wrong([row[:4] for row in TABLE])


def test_the_table_with_egress(policed: Policed) -> None:
    policed.enforce(egress=True)
    assert not policed.wrong([(*row[:3], row[4]) for row in TABLE])


def test_the_address_of_the_api_servers_service_is_not_enough(policed: Policed) -> None:
    service = f"{policed.node.network.layout.kubernetes_service}/32"
    policed.enforce(values={"egress": {"enabled": True, "apiServer": [service]}})
    assert not policed.wrong(
        [
            ("operator", "kubernetes-service", "443", False),
            ("operator", "dns-service", "53/UDP", True),
        ]
    )


def test_a_notebook_with_the_internet_reaches_public_addresses_alone(policed: Policed) -> None:
    policed.enforce(allow_internet=True)
    assert not policed.wrong(INTERNET_ROWS)


@pytest.mark.parametrize(
    ("page", "row"),
    [
        ("webrtc.md", ("internet", "server", "30606/UDP", True)),
        ("remote-regions.md", ("api-server", "server", "9091", True)),
    ],
)
def test_a_documented_policy_allows_what_its_page_says(policed: Policed, page: str, row: Row) -> None:
    policed.enforce()
    assert not policed.wrong([(*row[:3], False)])
    policed.add(documented_policy(page, policed.node.network.layout.host))
    assert not policed.wrong([row, ("pod", "server", "9091", False), ("internet", "server", "6006", False)])


def documented_policy(page: str, api_server: str) -> dict[str, Any]:
    """Return the only policy on a page, with the address of this cluster's API server."""
    text = (REPOSITORY / "docs" / page).read_text().replace("192.0.2.10", api_server)
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (policy,) = [yaml.safe_load(block) for block in blocks if "kind: NetworkPolicy" in block]
    return dict(policy)
