"""A node that enforces NetworkPolicies, with the chart installed, a pod of each kind, and attempts to connect them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from unittest.mock import patch

import pytest
from voxfleet_operator import names
from voxfleet_operator.components import installation
from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.fetch_job import job_labels
from voxfleet_operator.manifests.ways_in import server_policy, ways_in_objects
from voxfleet_operator.resources import Resource, read_resource
from voxfleet_operator.settings import Settings as OperatorSettings
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.network import dns
from voxfleet_testbed.policies.connections import Attempt, OpenPort, listening, reached
from voxfleet_testbed.policies.pods import Peer
from voxfleet_testbed.policies.policed_node import PolicedNode, running_policed_node
from voxfleet_testbed.settings import Settings

if TYPE_CHECKING:
    from voxfleet_testbed.cluster.api import Api
    from voxfleet_testbed.cluster.control_plane import ControlPlane
    from voxfleet_testbed.network.addresses import Layout

SYSTEM, USER = "voxfleet-system", "default"
POLICIES = "/apis/networking.k8s.io/v1"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments"
METADATA = {"namespace": USER, "name": "narrator", "uid": "u1", "creationTimestamp": "2026-11-23T20:00:00Z"}
# Pods that are no part of VoxFleet: (namespace, labels).
OTHER_PODS = {
    "pod": (USER, {"app": "shop"}),
    # It claims to be a gateway, outside of the gateways' namespace.
    "impostor": (USER, {"app.kubernetes.io/name": "voxfleet", "app.kubernetes.io/component": "gateway"}),
    "prometheus": ("monitoring", {"app": "prometheus"}),
    "proxy": ("ingress-nginx", {"app": "ingress-nginx"}),
    "kube-dns": (dns.NAMESPACE, {"k8s-app": "kube-dns"}),
    # OpenShift's, whose Service has port 53 and whose pods listen on 5353.
    "openshift-dns": ("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"}),
}
# Outside of the cluster's pods. Two of them are where clouds serve their machines: Azure's has both.
OUTSIDE = {
    "internet": ("203.0.113.9", "2001:db8::9"),
    "other-region": ("198.51.100.9", "2001:db8:1::9"),
    "metadata": ("169.254.169.254", "fd00:ec2::254"),
    "wire-server": ("168.63.129.16",),
}
OTHER_REGION = [{"ipBlock": {"cidr": "198.51.100.9/32"}}, {"ipBlock": {"cidr": "2001:db8:1::9/128"}}]
NO_VALUES: Mapping[str, Any] = MappingProxyType({})
Row = tuple[str, str, str, bool]  # from, to, port, whether it comes about


class Helm(Protocol):
    """What of the charts' `Cluster` is used here."""

    def run_helm(self, *arguments: str, values: dict[str, Any] | None = None) -> str: ...

    def chart(self, name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Policed:
    """The node, its peers by name, and helm."""

    node: PolicedNode
    helm: Helm
    peers: Mapping[str, Peer]

    @property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """The addresses of what may be connected to: peers, and Services' own addresses."""
        layout = self.node.network.layout
        of_peers = {name: peer.addresses for name, peer in self.peers.items()}
        services = {"kubernetes-service": (layout.kubernetes_service,), "dns-service": (layout.dns_service,)}
        return of_peers | services

    def enforce(
        self,
        *,
        policies: bool = True,
        egress: bool = False,
        allow_internet: bool = False,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        """Install the chart with these values and the operator's policies of its settings; start the engine.

        Without `policies` there are none, of the operator neither. `values`: below networkPolicy.
        """
        self.install(policies=policies, egress=egress, values=values)
        folder = f"{POLICIES}/namespaces/{USER}/networkpolicies"
        self.node.api.delete(folder)
        if policies:
            for policy in self._operator_policies(allow_internet=allow_internet):
                self.node.api.apply(f"{folder}/{policy['metadata']['name']}", policy)
        self.node.start_engine()

    def add(self, policy: dict[str, Any]) -> None:
        """Enforce one more policy, beside the servers."""
        self.node.api.apply(f"{POLICIES}/namespaces/{USER}/networkpolicies/{policy['metadata']['name']}", policy)
        self.node.start_engine()

    def install(self, *, policies: bool = False, egress: bool = False, values: Mapping[str, Any] = NO_VALUES) -> None:
        all_values = values_of(self.node.network.layout, policies=policies, egress=egress)
        all_values["networkPolicy"] |= values
        self.helm.run_helm("upgrade", "--install", "voxfleet", self.helm.chart("voxfleet"), values=all_values)

    def wrong(self, rows: Sequence[Row]) -> list[str]:
        """Try every row at once; return those whose outcome is not what it says."""
        attempts = [(row, attempt) for row in rows for attempt in self._attempts(row)]
        refused_first = [attempt for _row, attempt in sorted(attempts, key=lambda each: each[0][3])]
        with listening(self._open_ports(rows)) as datagrams:
            expected = {attempt for row, attempt in attempts if row[3]}
            found = reached(refused_first, expected, datagrams)
        return [
            f"{source} -> {target} {port} at {attempt.address}: {'passed' if attempt in found else 'dropped'}"
            for (source, target, port, is_allowed), attempt in attempts
            if (attempt in found) != is_allowed
        ]

    def _attempts(self, row: Row) -> Iterator[Attempt]:
        source, target, port, _is_allowed = row
        number, _, protocol = port.partition("/")
        own_families = {":" in address for address in self.peers[source].addresses}
        for address in self.targets[target]:
            if (":" in address) in own_families:
                yield Attempt(self.peers[source].pid, address, int(number), protocol or "TCP")

    def _open_ports(self, rows: Sequence[Row]) -> list[OpenPort]:
        own = self.peers.keys() - {"api-server"}  # which listens itself
        ports = {(target, port) for _source, target, port, _is_allowed in rows if target in own}
        ports |= {("kube-dns", "53"), ("kube-dns", "53/UDP")}  # behind the Service
        return [
            OpenPort(self.peers[target].pid, address, int(port.partition("/")[0]), port.partition("/")[2] or "TCP")
            for target, port in sorted(ports)
            for address in self.peers[target].addresses
        ]

    def _operator_policies(self, *, allow_internet: bool) -> list[dict[str, Any]]:
        of_operator = operator_installation(self.node.api)
        made = [server_policy(narrator(), of_operator)]
        made += ways_in_objects(narrator(allow_internet), WaysIn(frozenset({Way.NOTEBOOK})), of_operator)
        return [each.body for each in made if each.body["kind"] == "NetworkPolicy"]


def values_of(layout: Layout, *, policies: bool, egress: bool) -> dict[str, Any]:
    """Return the chart's values: every part enabled, two namespaces that may scrape and reach notebooks."""
    monitoring, proxies = (
        [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]
        for namespace in ("monitoring", "ingress-nginx")
    )
    name_servers = [{"name": "ns1.tts.example.com", "addresses": ["192.0.2.53"]}]
    return {
        "gateway": {"regions": [{"name": "eu"}]},
        "peerTLS": {"secretName": "peer-tls"},
        "dns": {"enabled": True, "zone": "tts.example.com", "nameServers": name_servers},
        "notebooks": {"enabled": True},
        "networkPolicy": {
            "enabled": policies,
            "metricsFrom": monitoring,
            "notebooksFrom": proxies,
            "egress": {
                "enabled": egress,
                "apiServer": [f"{layout.host}/32", f"{layout.kubernetes_service}/32"],
                "extra": [{"to": OTHER_REGION, "ports": [{"port": 6007, "protocol": "TCP"}]}],
            },
        },
    }


def operator_installation(api: Api) -> Installation:
    """Return what the operator makes of the settings that the chart gives it."""
    pod = api.get(f"{DEPLOYMENTS}/voxfleet-operator")["spec"]["template"]["spec"]
    environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"] if "value" in each}
    with patch.dict(os.environ, environment):
        return installation(OperatorSettings())


def narrator(allow_internet: bool = False) -> Resource:  # noqa: FBT001, FBT002
    notebook = {"enabled": True, "tlsSecretName": "tls", "allowInternet": allow_internet}
    return read_resource({"metadata": METADATA, "spec": {"regions": [{"name": "eu"}], "notebook": notebook}})


def pods_of_voxfleet(api: Api) -> dict[str, tuple[str, dict[str, str]]]:
    """Return namespace and labels of each part's pods, from the installed Deployments and the operator's manifests."""
    deployments = api.get(DEPLOYMENTS)["items"]
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in deployments}
    parts = {"gateway": "voxfleet-gateway-eu", "gateway-two": "voxfleet-gateway-eu", "operator": "voxfleet-operator"}
    of_chart = {part: (SYSTEM, labels[name]) for part, name in (parts | {"dns": "voxfleet-dns"}).items()}
    made = ways_in_objects(narrator(), WaysIn(frozenset({Way.NOTEBOOK})), operator_installation(api))
    (notebook,) = (each.body for each in made if each.body["kind"] == "StatefulSet")
    return of_chart | {
        "server": (USER, names.pool_labels(USER, "narrator", "eu", names.POOL_ON_DEMAND)),
        "other-server": ("team", names.pool_labels("team", "other", "eu", names.POOL_SPOT)),
        "fetcher": (USER, job_labels(narrator(), "key")),
        "notebook": (USER, notebook["spec"]["template"]["metadata"]["labels"]),
    }


@pytest.fixture(scope="package")
def policed(testbed_settings: Settings, cluster_with_helm: Callable[[ControlPlane], Helm]) -> Iterator[Policed]:
    with skipping(testbed_settings), running_policed_node(testbed_settings) as node:
        for namespace in (SYSTEM, USER, "team", *(namespace for namespace, _labels in OTHER_PODS.values())):
            node.add_namespace(namespace)
        # The API server runs in the namespace of this process.
        api_server = Peer("api-server", os.getpid(), (node.network.layout.host,))
        peers: dict[str, Peer] = {"node": node.node, "api-server": api_server}
        made = Policed(node, cluster_with_helm(node.control_plane), peers)
        made.install()
        for name, (namespace, labels) in (pods_of_voxfleet(node.api) | OTHER_PODS).items():
            peers[name] = node.add_pod(name, namespace, labels)
        for name, addresses in OUTSIDE.items():
            peers[name] = node.add_outside(name, addresses)
        add_dns(node, peers["kube-dns"])
        yield made


def add_dns(node: PolicedNode, pod: Peer) -> None:
    """Make the cluster's DNS Service, with its usual ports and a pod behind it."""
    layout = node.network.layout
    service = json.loads(json.dumps(dns.service(layout.dns_service)).replace(str(dns.PORT), "53"))
    endpoints = json.loads(json.dumps(dns.endpoint_slice(pod.addresses[0])).replace(str(dns.PORT), "53"))
    node.api.apply(dns.SERVICE_PATH, service)
    node.api.apply(dns.SLICE_PATH, endpoints)
    with listening([OpenPort(pod.pid, pod.addresses[0], 53)]):
        node.wait_for_service(layout.dns_service, 53)
    node.wait_for_service(layout.kubernetes_service, 443)
