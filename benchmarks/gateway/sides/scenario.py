"""The models of one measurement, as the objects that the operator would make for them. Pure.

Knows: the registry's ConfigMaps, EndpointSlices and Leases. Does not know: the API server, the pods' processes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

SYSTEM, DEMAND, APPS = "voxfleet-system", "voxfleet-demand", "speech"
LEASE_SECONDS = 600
CONFIGMAPS, SLICES, LEASES = "configmaps", "endpointslices", "leases"
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the stub process runs; `wake_seconds` is the time from a renewal to a ready pod, when asleep."""

    models: int = 1
    regions: int = 1
    pods: int = 1  # of each region
    is_asleep: bool = False
    wake_seconds: float = 1.0

    def to_json(self) -> str:
        """Return the scenario as the argument of a process."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Scenario:
        """Read the argument of a process."""
        return cls(**json.loads(text))


def model_name(number: int) -> str:
    """Return a model's name."""
    return f"narrator-{number}"


def region_name(number: int) -> str:
    """Return a region's name; the gateway runs in the first."""
    return f"north-america-{number:02}"


def service_name(model: int, region: int) -> str:
    """Return the name of the Service, and of the Lease, of one region of one model."""
    return f"{model_name(model)}-{region_name(region)}"


def configmap(model: int, scenario: Scenario) -> JsonObject:
    """Return the registry's entry of a model; its bounds are high, so that no request waits for a free row."""
    entry = {
        "schema": "voxfleet.dev/registry/v1",
        "namespace": APPS,
        "name": model_name(model),
        "model": model_name(model),
        "gateway": {"hold_seconds": 600, "max_held_requests": 10_000, "spill": True},
        "serving": {"max_batch_size": 10_000, "max_queued_requests": 10_000},
        "idle_timeout_seconds": LEASE_SECONDS,
        "regions": [_region(model, number, scenario) for number in range(scenario.regions)],
    }
    metadata = {
        "name": model_name(model),
        "namespace": SYSTEM,
        "labels": {"voxfleet.dev/model-registry": "true"},
    }
    return {"metadata": metadata, "data": {"model.json": json.dumps(entry)}}


def _region(model: int, number: int, scenario: Scenario) -> JsonObject:
    name = service_name(model, number)
    return {
        "name": region_name(number),
        "latitude": round(48.12 - 2.31 * number, 2),
        "longitude": round(-170.56 + 5.73 * number, 2),
        "price_per_gpu_hour": round(2.1 + 0.13 * number, 2),
        "max_replicas": 64,
        "service": {"namespace": APPS, "name": name},
        "lease": {"namespace": DEMAND, "name": name},
        "phase": "Asleep" if scenario.is_asleep else "Awake",
    }


def lease(model: int, region: int, renew_time: str | None) -> JsonObject:
    """Return the demand Lease of one region of one model."""
    spec: JsonObject = {"leaseDurationSeconds": LEASE_SECONDS}
    if renew_time is not None:
        spec["renewTime"] = renew_time
    return {"metadata": {"name": service_name(model, region), "namespace": DEMAND}, "spec": spec}


def endpoint_slice(model: int, region: int, port: int, *, is_ready: bool) -> JsonObject:
    """Return the slice of one pod: ports belong to slices, and each pod here has its own."""
    service = service_name(model, region)
    return {
        "metadata": {
            "name": f"{service}-{port}",
            "namespace": APPS,
            "labels": {"kubernetes.io/service-name": service, "voxfleet.dev/deployment": model_name(model)},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}, {"name": "internal", "port": port}],
        "endpoints": [
            {
                "addresses": ["127.0.0.1"],
                "conditions": {"ready": is_ready},
                "targetRef": {"kind": "Pod", "name": f"{service}-{port}"},
            }
        ],
    }
