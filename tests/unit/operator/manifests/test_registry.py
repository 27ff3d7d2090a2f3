"""The registry entry that gateways read."""

import json
from collections.abc import Callable
from typing import Any

from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Phase, Resource

Resources = Callable[..., Resource]
Made = Callable[..., list[Manifest]]


def only(manifests: list[Manifest], kind: str) -> dict[str, Any]:
    return next(manifest.body for manifest in manifests if manifest.kind == kind)


def test_the_registry_entry(resource: Resources, made: Made) -> None:
    region = {
        "name": "eu",
        "location": {"latitude": "50.11", "longitude": "8.68"},
        "allowedClients": ["DE"],
        "pricePerGpuHour": {"onDemand": "1.01"},
    }
    config_map = only(made(resource(regions=[region]), Phase.FAILED, message="no weights"), "ConfigMap")
    assert config_map["metadata"]["namespace"] == "voxfleet-system"
    assert config_map["metadata"]["labels"]["voxfleet.dev/model-registry"] == "true"
    entry = json.loads(config_map["data"]["model.json"])
    assert (entry["schema"], entry["model"], entry["generation"]) == ("voxfleet.dev/registry/v1", "narrator", 4)
    eu = entry["regions"][0]
    assert (eu["latitude"], eu["longitude"], eu["allowed_clients"]) == (
        50.11,
        8.68,
        ["DE"],
    )
    assert (eu["phase"], eu["message"], eu["price_per_gpu_hour"]) == (
        "Failed",
        "no weights",
        1.01,
    )
    assert eu["service"]["name"].startswith("narrator-eu-")
