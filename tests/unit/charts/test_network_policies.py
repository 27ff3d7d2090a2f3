"""Which part reaches which port: the chart's policies and the operator's together, against one table.

tests/integration/charts/network_policies enforces them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests import Entry, Installation
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.manifests.ways_in import server_policy, ways_in_objects
from voxfleet_operator.resources import read_resource

Policy = dict[str, Any]
Render = Callable[..., list[Policy]]
SYSTEM, USER = "voxfleet-system", "default"
API_SERVER, METADATA, INTERNET = "192.0.2.10", "169.254.169.254", "203.0.113.9"
WIRE_SERVER = "168.63.129.16"  # Azure's, for the machine that a pod is on


# By the rules of networking.k8s.io/v1, without a network.


@dataclass(frozen=True)
class Peer:
    """A pod, or an address outside of the cluster's pods: without a namespace."""

    address: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def namespace_labels(self) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace}


def is_allowed(policies: Iterable[Policy], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the source's egress and the target's ingress admit a connection."""
    policies = list(policies)
    return _admits(policies, source, target, "Egress", (port, protocol)) and _admits(
        policies, target, source, "Ingress", (port, protocol)
    )


def _admits(policies: list[Policy], pod: Peer, other: Peer, direction: str, port: tuple[int, str]) -> bool:
    """A pod that no policy of a direction selects admits everything; else one rule of any of them must."""
    selecting = [each["spec"] for each in policies if _selects(each, pod) and direction in each["spec"]["policyTypes"]]
    peers_key = {"Egress": "to", "Ingress": "from"}[direction]
    rules = [rule for spec in selecting for rule in spec.get(direction.lower()) or []]
    return not selecting or any(
        _is_port(rule, port) and _is_any_peer(rule.get(peers_key), other, pod.namespace) for rule in rules
    )


def _selects(policy: Policy, pod: Peer) -> bool:
    is_here = bool(pod.namespace) and policy["metadata"]["namespace"] == pod.namespace
    return is_here and matches(policy["spec"]["podSelector"], pod.labels)


def _is_port(rule: dict[str, Any], port: tuple[int, str]) -> bool:
    ports = rule.get("ports")
    return not ports or port in [(each["port"], each.get("protocol", "TCP")) for each in ports]


def _is_any_peer(peers: list[dict[str, Any]] | None, other: Peer, own_namespace: str) -> bool:
    """No list, or an empty one, means every peer."""
    return not peers or any(_is_peer(peer, other, own_namespace) for peer in peers)


def _is_peer(peer: dict[str, Any], other: Peer, own_namespace: str) -> bool:
    """A pod of the policy's own namespace, where the peer names no other one."""
    if block := peer.get("ipBlock"):
        return _is_in(other.address, block["cidr"]) and not any(
            _is_in(other.address, e) for e in block.get("except", [])
        )
    if not other.namespace:
        return False
    by_namespace = peer.get("namespaceSelector")
    is_namespace = (
        other.namespace == own_namespace if by_namespace is None else matches(by_namespace, other.namespace_labels)
    )
    return is_namespace and matches(peer.get("podSelector") or {}, other.labels)


def _is_in(address: str, cidr: str) -> bool:
    return ip_address(address) in ip_network(cidr)


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector selects these labels; raises KeyError for an operator that no policy here has."""
    has = {"Exists": lambda key, _values: key in labels, "In": lambda key, values: labels.get(key) in values}
    return (selector.get("matchLabels") or {}).items() <= labels.items() and all(
        has[each["operator"]](each["key"], each.get("values")) for each in selector.get("matchExpressions") or []
    )


def of_release(component: str) -> dict[str, str]:
    labels = {"app.kubernetes.io/name": "voxfleet", "app.kubernetes.io/instance": "release"}
    return labels | {"app.kubernetes.io/component": component}


def peers(instance: str) -> dict[str, Any]:
    release = {
        name: of_release(name) | {"app.kubernetes.io/instance": instance} for name in ("gateway", "operator", "dns")
    }
    pods = {name: (SYSTEM, labels) for name, labels in release.items()}
    pods["server"] = (USER, names.pool_labels(USER, "narrator", "eu", names.POOL_ON_DEMAND))
    pods["other server"] = ("team", names.pool_labels("team", "other", "eu", names.POOL_SPOT))
    pods["notebook"] = (USER, names.notebook_selector("narrator"))
    pods["pod"] = (USER, {"app": "shop"})
    # A pod that claims to be a gateway, outside of the gateways' namespace.
    pods["impostor"] = (USER, release["gateway"])
    pods["prometheus"] = ("monitoring", {"app": "prometheus"})
    pods["proxy"] = ("ingress-nginx", {"app": "ingress-nginx"})
    pods["kube-dns"] = ("kube-system", {"k8s-app": "kube-dns"})
    found = {name: Peer(f"10.0.0.{n}", *pod) for n, (name, pod) in enumerate(pods.items(), start=1)}
    outside = {"api server": API_SERVER, "metadata": METADATA, "wire server": WIRE_SERVER, "internet": INTERNET}
    return found | {name: Peer(address) for name, address in outside.items()}


def rendered_policies(render: Render, *, allow_internet: bool = False, egress: bool = True) -> list[dict[str, Any]]:
    monitoring, proxies = (
        [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]
        for namespace in ("monitoring", "ingress-nginx")
    )
    values = {"enabled": True, "metricsFrom": monitoring, "notebooksFrom": proxies}
    values["egress"] = {"enabled": egress, "apiServer": [f"{API_SERVER}/32"]}
    zone = {"zone": "tts.example.com", "nameServers": [{"name": "ns1.tts.example.com", "addresses": ["192.0.2.53"]}]}
    chart = render({"networkPolicy": values, "dns": {"enabled": True, **zone}})
    metadata = {"namespace": USER, "name": "narrator", "uid": "u1", "creationTimestamp": "2026-11-23T20:00:00Z"}
    notebook = {"enabled": True, "tlsSecretName": "tls", "allowInternet": allow_internet}
    resource = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}], "notebook": notebook}})
    entry = Entry(metrics_from=tuple(monitoring), proxies_from=tuple(proxies))
    installation = Installation(SYSTEM, "voxfleet-demand", "gw.svc", PodSettings("i", "Always", ""), entry=entry)
    made = [server_policy(resource, installation)]
    made += ways_in_objects(resource, WaysIn(frozenset({Way.NOTEBOOK})), installation)
    bodies = [*chart, *(each.body for each in made)]
    return [each for each in bodies if each["kind"] == "NetworkPolicy"]


# (from, to, port, whether it is allowed)
TABLE = [
    ("internet", "gateway", 6006, True),
    ("proxy", "gateway", 6006, True),
    ("notebook", "gateway", 6006, True),
    ("gateway", "server", 6006, True),
    ("pod", "server", 6006, False),
    ("impostor", "server", 6006, False),
    ("proxy", "server", 6006, False),
    ("notebook", "server", 6006, False),
    ("operator", "server", 6006, False),
    ("gateway", "server", 9091, True),
    ("operator", "server", 9091, True),
    ("pod", "server", 9091, False),
    ("prometheus", "server", 9090, True),
    ("pod", "server", 9090, False),
    ("prometheus", "server", 9091, False),
    ("operator", "gateway", 9091, True),
    ("gateway", "gateway", 9091, True),
    ("dns", "gateway", 9091, True),
    ("server", "gateway", 9091, True),  # voices
    ("other server", "gateway", 9091, True),
    ("pod", "gateway", 9091, False),
    ("notebook", "gateway", 9091, False),
    ("prometheus", "gateway", 9090, True),
    ("pod", "gateway", 9090, False),
    ("prometheus", "operator", 9090, True),
    ("pod", "operator", 9090, False),
    ("gateway", "operator", 9091, False),
    ("internet", "dns", 5353, True),
    ("pod", "dns", 9090, False),
    ("proxy", "notebook", 8888, True),
    ("pod", "notebook", 8888, False),
    ("internet", "notebook", 8888, False),
    ("notebook", "api server", 443, False),
    ("notebook", "metadata", 80, False),
    ("notebook", "pod", 80, False),
    ("notebook", "internet", 443, False),
    ("operator", "api server", 6443, True),
    ("gateway", "api server", 443, True),
    ("operator", "internet", 443, False),
    ("gateway", "internet", 443, False),
    ("gateway", "metadata", 80, False),
    ("gateway", "pod", 6006, False),
    ("dns", "server", 9091, False),
    ("server", "internet", 443, True),  # weights
]


def test_the_table(render: Render) -> None:
    policies = rendered_policies(render)
    (instance,) = {
        each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"]
        for each in policies
        if each["metadata"]["namespace"] == SYSTEM
    }
    of = peers(instance)
    wrong = [row for row in TABLE if is_allowed(policies, of[row[0]], of[row[1]], row[2]) != row[3]]
    assert not wrong
    for part in ("gateway", "operator", "dns", "notebook", "server"):
        assert is_allowed(policies, of[part], of["kube-dns"], 53, "UDP"), part
        assert is_allowed(policies, of[part], of["kube-dns"], 5353, "UDP"), part  # OpenShift's
    assert not is_allowed(policies, of["notebook"], of["kube-dns"], 443)


@pytest.mark.parametrize(
    ("target", "port"), [("internet", 443), ("metadata", 80), ("wire server", 80), ("pod", 80), ("server", 6006)]
)
def test_a_notebook_with_the_internet_reaches_public_addresses_alone(render: Render, target: str, port: int) -> None:
    of = peers("release")
    found = is_allowed(rendered_policies(render, allow_internet=True), of["notebook"], of[target], port)
    assert found == (target == "internet")


def test_egress_is_open_unless_asked_and_needs_the_api_servers_addresses(render: Render) -> None:
    of = peers("release")
    assert is_allowed(rendered_policies(render, egress=False), of["gateway"], of["internet"], 443)
    with pytest.raises(AssertionError, match=r"needs networkPolicy\.egress\.apiServer"):
        render({"networkPolicy": {"enabled": True, "egress": {"enabled": True}}})


def test_more_egress_is_added_as_it_is_written(render: Render) -> None:
    extra = [{"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}], "ports": [{"port": 6007, "protocol": "TCP"}]}]
    egress = {"enabled": True, "apiServer": ["192.0.2.10/32"], "extra": extra}
    policies = [
        each for each in render({"networkPolicy": {"enabled": True, "egress": egress}}) if "Policy" in each["kind"]
    ]
    assert {each["metadata"]["name"] for each in policies} == {"voxfleet-gateway", "voxfleet-operator"}
    assert all(extra[0] in each["spec"]["egress"] for each in policies)
