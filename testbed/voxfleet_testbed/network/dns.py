"""The cluster's DNS as values: CoreDNS' configuration, the Service that pods query, and its endpoints.

CoreDNS runs as a process beside the API server, not as a pod: names resolve before any pod is scheduled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PORT = 1053  # kube-proxy maps the Service's port 53 to it
NAMESPACE = "kube-system"
SERVICE = "kube-dns"
SERVICE_PATH = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}"
SLICE_PATH = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{SERVICE}"


def corefile(address: str, kubeconfig: Path, context: str) -> str:
    """Return a CoreDNS configuration that answers for the cluster's domain only; other names are refused."""
    return f"""cluster.local:{PORT} in-addr.arpa:{PORT} ip6.arpa:{PORT} {{
    bind {address}
    errors
    cache 5
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig} {context}
        pods insecure
        ttl 5
    }}
}}
"""


def service(cluster_ip: str) -> dict[str, Any]:
    """Return the Service that every pod's resolv.conf names; it has no selector, because its endpoint is no pod."""
    ports = [
        {"name": name, "port": 53, "protocol": protocol, "targetPort": PORT}
        for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"clusterIP": cluster_ip, "ports": ports},
    }


def endpoint_slice(address: str) -> dict[str, Any]:
    """Return the EndpointSlice that directs the Service to the CoreDNS process."""
    ports = [
        {"name": name, "port": PORT, "protocol": protocol} for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
