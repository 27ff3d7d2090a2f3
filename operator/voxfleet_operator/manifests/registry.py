"""What gateways know of a model: the document in its ConfigMap.

Knows the schema voxfleet.dev/registry/v1. Carries no value that changes by itself with time, so a quiet system
writes nothing. Does not know the ConfigMap around it.
"""

import json
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.region_plan import RegionPlan
from voxfleet_operator.decisions.wake_timing import total_seconds
from voxfleet_operator.resources import Region, Resource, effective_autoscaling

SCHEMA = "voxfleet.dev/registry/v1"


def registry_entry(
    resource: Resource, plans: dict[str, RegionPlan], demand_namespace: str, *, owns_model_name: bool
) -> str:
    """The document as JSON text with a stable order."""
    spec = resource.spec
    entry = {
        "schema": SCHEMA,
        "namespace": resource.key.namespace,
        "name": resource.key.name,
        "model": resource.model_name,
        "owns_model_name": owns_model_name,
        "created_at": resource.created_at,
        "generation": resource.generation,
        "suspended": spec.suspend,
        "gateway": {
            "hold_seconds": spec.gateway.hold_seconds,
            "max_held_requests": spec.gateway.max_held_requests,
            "spill": spec.gateway.spill,
        },
        "idle_timeout_seconds": spec.autoscaling.idle_timeout_seconds,
        "regions": [_region(resource, region, plans[region.name], demand_namespace) for region in spec.regions],
    }
    return json.dumps(entry, indent=1)


def _region(resource: Resource, region: Region, plan: RegionPlan, demand_namespace: str) -> dict[str, Any]:
    key = resource.key
    wake_seconds = total_seconds(plan.last_wake)
    policy = effective_autoscaling(resource.spec, region)
    return {
        "name": region.name,
        "latitude": float(region.location.latitude) if region.location else None,
        "longitude": float(region.location.longitude) if region.location else None,
        "gateway_url": region.gateway_url,
        "allowed_clients": region.allowed_clients,
        "suspended": resource.spec.suspend or region.suspend,
        "local": region.kube_config_secret_ref is None,
        "max_replicas": policy.max_replicas,
        "price_per_gpu_hour": _price(region),
        "idle_timeout_seconds": policy.idle_timeout_seconds,
        "service": {"namespace": key.namespace, "name": names.regional_name(key.name, region.name)},
        "lease": {"namespace": demand_namespace, "name": names.lease_name(key.namespace, key.name, region.name)},
        "phase": str(plan.phase),
        "message": plan.message if plan.phase in ("Failed", "Suspended") else "",
        "retry_after_seconds": plan.retry_after_seconds,
        "predicted_wake_seconds": wake_seconds,
    }


def _price(region: Region) -> float:
    """What a server costs here today: they run on demand."""
    price = region.price_per_gpu_hour
    return float(price.on_demand or price.spot or 0) if price else 0.0
