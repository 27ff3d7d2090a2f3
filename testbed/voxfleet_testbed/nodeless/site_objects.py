"""What administrators of a site publish, as values: namespaces, a Gateway, the resource.

Knows: the names of a site. Does not know: how objects are applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from voxfleet_testbed.nodeless.site_settings import ADMITTED_LABEL, APPS, INFRA, NAME

GATEWAY = "public"
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
GATEWAY_SECRET = "gateway-tls"  # noqa: S105 - a name
RESOURCES = f"/apis/voxfleet.dev/v1alpha1/namespaces/{APPS}/voxttsdeployments"
REGIONS = {"eu-central": ("50.11", "8.68"), "us-east": ("39.04", "-77.49")}


def namespace(name: str) -> dict[str, Any]:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def gateway_object(kind: str, metadata: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of the Gateway API."""
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}


def gateway(class_name: str, ports: Mapping[str, int], encrypted: Iterable[str]) -> dict[str, Any]:
    """Return the Gateway, with a section for each port; its routes are of namespaces with a label."""
    sections = [_section(name, port, is_encrypted=name in encrypted) for name, port in ports.items()]
    spec = {"gatewayClassName": class_name, "listeners": sections}
    return gateway_object("Gateway", {"name": GATEWAY, "namespace": INFRA}, spec)


def _section(name: str, port: int, *, is_encrypted: bool) -> dict[str, Any]:
    admitted = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {ADMITTED_LABEL: "public"}}}}
    tls = {"tls": {"mode": "Terminate", "certificateRefs": [{"name": GATEWAY_SECRET}]}} if is_encrypted else {}
    return {"name": name, "port": port, "protocol": "HTTPS" if tls else "HTTP", "allowedRoutes": admitted} | tls


def route(sections: Iterable[str], hostname: str) -> dict[str, Any]:
    """Return `spec.route` of a resource, to sections of the Gateway."""
    parents = [{"name": GATEWAY, "namespace": INFRA, "sectionName": name} for name in sections]
    return {"parentRefs": parents, "hostnames": [hostname]}


def resource(**ways_in: dict[str, Any]) -> dict[str, Any]:
    """Return a resource in two regions with its ways in: `ingress`, `route`."""
    regions = [
        {"name": name, "location": {"latitude": latitude, "longitude": longitude}}
        for name, (latitude, longitude) in REGIONS.items()
    ]
    scaling = {"maxReplicas": 1, "idleTimeoutSeconds": 3600}
    return {
        "apiVersion": "voxfleet.dev/v1alpha1",
        "kind": "VoxTTSDeployment",
        "metadata": {"name": NAME, "namespace": APPS},
        "spec": {"regions": regions, "autoscaling": scaling, **ways_in},
    }
