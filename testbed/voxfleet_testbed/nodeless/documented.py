"""Objects that docs/ways-in.md shows, so that a test applies what readers do."""

from __future__ import annotations

import re
from typing import Any

import yaml

from voxfleet_testbed.nodeless.site import Site
from voxfleet_testbed.nodeless.site_settings import SYSTEM
from voxfleet_testbed.settings import REPOSITORY


def documented(kind: str) -> dict[str, Any]:
    """Return the first object of a kind, in this site's namespace."""
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "ways-in.md").read_text(), re.DOTALL)
    body = next(found for found in map(yaml.safe_load, blocks) if found.get("kind") == kind)
    return dict(body | {"metadata": body["metadata"] | {"namespace": SYSTEM}})


def trust_gateways(site: Site, version: str, hostname: str = "") -> None:
    """Apply the BackendTLSPolicy, in a version of the Gateway API, and the ConfigMap of the authority that it names.

    `hostname` replaces the name that is verified.
    """
    policy = documented("BackendTLSPolicy")
    policy["spec"]["validation"]["hostname"] = hostname or policy["spec"]["validation"]["hostname"]
    authority = {"name": policy["spec"]["validation"]["caCertificateRefs"][0]["name"], "namespace": SYSTEM}
    bundle = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": authority}
    site.apply(f"/api/v1/namespaces/{SYSTEM}/configmaps", bundle | {"data": {"ca.crt": site.authority.pem().decode()}})
    group = "gateway.networking.k8s.io"
    path = f"/apis/{group}/{version}/namespaces/{SYSTEM}/backendtlspolicies"
    site.apply(path, policy | {"apiVersion": f"{group}/{version}"})
