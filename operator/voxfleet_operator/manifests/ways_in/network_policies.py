"""Builds the NetworkPolicies of a resource's pods: its servers, and its notebook.

Knows the ports, and the labels of the installation's gateways and operator in the chart. Policies only add up: what a
user's own policy allows besides is allowed. Does not know whether the cluster's network enforces any.
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.kinds import NOTEBOOK_POLICY
from voxfleet_operator.manifests.manifest import Installation, Manifest, manifest_of
from voxfleet_operator.manifests.pods.containers import API_PORT, INTERNAL_PORT, METRICS_PORT
from voxfleet_operator.resources import Resource

NOTEBOOK_PORT = 8888
DNS_PORT = 53
# Networks judge a connection by the pod's port behind the Service. OpenShift's pods of DNS have this one.
DNS_POD_PORT = 5353
# Addresses that are not public (RFC 1918, 6598, 3927, 6890, 2544, 1112, 4193, 4291): pods, nodes, API servers, cloud
# metadata.
NOT_PUBLIC = {
    "0.0.0.0/0": [
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
        *("192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4"),
        "168.63.129.16/32",  # a public address by which Azure's machines are served, certificates included
    ],
    "::/0": ["fc00::/7", "fe80::/10", "::1/128"],
}

Rule = dict[str, Any]


def server_policy(resource: Resource, installation: Installation) -> Manifest:
    """Return the policy of the servers: requests come through gateways, metrics are scraped.

    Egress stays open: weights are downloaded from anywhere.
    """
    key = resource.key
    spec = {
        "podSelector": {"matchLabels": {names.LABEL_DEPLOYMENT: key.name}},
        "policyTypes": ["Ingress"],
        "ingress": [
            _allow([_component(installation, "gateway")], API_PORT),
            _allow([_component(installation, "gateway"), _component(installation, "operator")], INTERNAL_PORT),
            _allow(list(installation.entry.metrics_from), METRICS_PORT),
        ],
    }
    labels = names.resource_labels(key.namespace, key.name)
    return manifest_of(resource, installation, "NetworkPolicy", names.network_policy_name(key.name), labels, spec=spec)


def notebook_policy(resource: Resource, installation: Installation) -> Manifest:
    """Return the policy of the notebook: a cell may call the gateways, and the internet where the spec says so.

    Neither the API server, nor cloud metadata, nor another pod.
    """
    key = resource.key
    egress: list[Rule] = [
        {"ports": _dns(DNS_PORT)},
        {"to": [{"namespaceSelector": {}}], "ports": _dns(DNS_POD_PORT)},
        {"to": [_component(installation, "gateway")], "ports": [_tcp(API_PORT)]},
    ]
    if resource.spec.notebook.allow_internet:
        public = [{"ipBlock": {"cidr": cidr, "except": private}} for cidr, private in NOT_PUBLIC.items()]
        egress.append({"to": public})
    spec = {
        "podSelector": {"matchLabels": names.notebook_selector(key.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [_allow(list(installation.entry.proxies_from), NOTEBOOK_PORT)],
        "egress": egress,
    }
    labels = names.notebook_labels(key.namespace, key.name)
    return manifest_of(resource, installation, NOTEBOOK_POLICY, names.notebook_name(key.name), labels, spec=spec)


def _component(installation: Installation, component: str) -> Rule:
    """Pods of the installation; labels that the chart gives its own pods (charts/voxfleet/templates/_labels.tpl)."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": installation.system_namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "voxfleet", names.LABEL_COMPONENT: component}},
    }


def _allow(peers: list[Rule], port: int) -> Rule:
    """Allow connections to a port: of no peers given from everywhere, as in a NetworkPolicy itself."""
    return ({"from": peers} if peers else {}) | {"ports": [_tcp(port)]}


def _dns(port: int) -> list[Rule]:
    return [{"protocol": protocol, "port": port} for protocol in ("UDP", "TCP")]


def _tcp(port: int) -> Rule:
    return {"protocol": "TCP", "port": port}
