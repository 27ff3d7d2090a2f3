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


def test_the_price_is_that_of_the_capacity_which_the_resource_asks_for(resource: Resources, made: Made) -> None:
    def price(use: str, **prices: str) -> float:
        of = resource(regions=[{"name": "eu", "pricePerGpuHour": prices}], capacity={"spot": use})
        entry = json.loads(only(made(of), "ConfigMap")["data"]["model.json"])
        found: float = entry["regions"][0]["price_per_gpu_hour"]
        return found

    assert price("Never", spot="0.35", onDemand="1.01") == 1.01
    assert price("Preferred", spot="0.35", onDemand="1.01") == 0.35
    assert price("Required", onDemand="1.01") == 1.01
    assert price("Preferred") == 0.0
