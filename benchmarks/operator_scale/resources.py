"""The resources that both sides create, and what the API server needs before them."""

from __future__ import annotations

from typing import Any

from voxfleet_demo.spot.operator_process import define_resource
from voxfleet_operator.resources import GROUP, PLURAL, VERSION
from voxfleet_testbed.cluster.api import Api

NAMESPACE = "default"
RESOURCES = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}"
ACCOUNT = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"


def prepare(api: Api) -> None:
    """Define the kind and make the namespaces, on a control plane without controllers."""
    api.apply(ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    define_resource(api)


def resource(number: int, regions: int) -> dict[str, Any]:
    """Return one resource."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "VoxTTSDeployment",
        "metadata": {"name": f"fleet-{number:04d}", "namespace": NAMESPACE},
        "spec": {"regions": [{"name": f"region-{each}"} for each in range(regions)]},
    }
