"""Builds the registry entry of a model: the JSON document in its ConfigMap, from which gateways read the model.

Knows the schema voxfleet.dev/registry/v1. Contains no value that changes with time alone, so an idle system writes
nothing: the cost is that of the status, written as often. Does not know the ConfigMap around it.
"""

import json
from typing import Any, NamedTuple

from voxfleet_operator import names
from voxfleet_operator.decisions.demand.wake_timing import WakeProgress, phases, total_seconds
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.remote.peer_domains import NO_PEERS, AllowedPeers, gateway_url_problem
from voxfleet_operator.decisions.remote.recorded import kubeconfig_of
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.manifests.registry_cost import region_cost
from voxfleet_operator.resources import Region, Resource, SpotUse, effective_autoscaling

SCHEMA = "voxfleet.dev/registry/v1"


class RegistryPlace(NamedTuple):
    """The cluster whose gateways read the entry: its demand namespace, and how its regions are recognized.

    `kubeconfig`: as in regions' kubeConfigSecretRef, NAME/KEY; empty: the operator's own cluster.
    """

    demand_namespace: str
    kubeconfig: str = ""
    allowed_peers: AllowedPeers = NO_PEERS


def registry_entry(resource: Resource, plan: ResourcePlan, place: RegistryPlace, *, owned_names: frozenset[str]) -> str:
    """Return the entry as JSON text with a stable order; `owned_names`: names that no older resource has."""
    spec = resource.spec
    entry = {
        "schema": SCHEMA,
        "namespace": resource.key.namespace,
        "name": resource.key.name,
        "model": resource.model_name,
        "owns_model_name": resource.model_name in owned_names,
        "aliases": [each for each in resource.model_names[1:] if each in owned_names],
        "languages": spec.model.languages or [],
        "voices": spec.voices or {},
        "created_at": resource.created_at,  # gateways resolve equal model names by age too
        "generation": resource.generation,
        "suspended": spec.suspend,
        "gateway": spec.gateway.model_dump(mode="json"),
        "serving": spec.serving.model_dump(mode="json", include={"max_batch_size", "max_queued_requests"}),
        "idle_timeout_seconds": spec.autoscaling.idle_timeout_seconds,
        "regions": [_region(resource, region, plan.regions[region.name], place) for region in spec.regions],
    }
    return json.dumps(entry, indent=1)  # indented for `kubectl get configmap`


def _region(resource: Resource, region: Region, plan: RegionPlan, place: RegistryPlace) -> dict[str, Any]:
    key = resource.key
    wake_seconds = total_seconds(plan.last_wake)
    autoscaling = effective_autoscaling(resource.spec, region)
    return {
        "name": region.name,
        "latitude": float(region.location.latitude) if region.location else None,
        "longitude": float(region.location.longitude) if region.location else None,
        "gateway_url": None if gateway_url_problem(region, place.allowed_peers) else region.gateway_url,
        "allowed_clients": region.allowed_clients,
        "suspended": resource.spec.suspend or region.suspend,
        "local": kubeconfig_of(region) == place.kubeconfig,
        "max_replicas": autoscaling.max_replicas,
        "price_per_gpu_hour": _price(resource, region),
        "idle_timeout_seconds": autoscaling.idle_timeout_seconds,
        "service": {"namespace": key.namespace, "name": names.regional_name(key.name, region.name)},
        "lease": {"namespace": place.demand_namespace, "name": names.lease_name(key.namespace, key.name, region.name)},
        "phase": str(plan.phase),
        # A waking region's message changes with every pod event, and gateways show none of them.
        "message": plan.message if plan.phase in ("Failed", "Suspended") else "",
        "retry_after_seconds": plan.retry_after_seconds,
        "predicted_wake_seconds": wake_seconds,
        "asleep_since": to_micro_time(plan.asleep_since) if plan.asleep_since is not None else None,
        "wake": _wake(plan.wake) if plan.wake is not None else None,
        "last_wake": {"total": wake_seconds, **phases(plan.last_wake)} if plan.last_wake is not None else None,
        "cost": region_cost(resource.status.cost, region.name),
    }


def _wake(wake: WakeProgress) -> dict[str, Any]:
    """Return the wake that is under way: some four changes, and none after the container has started."""
    times = {"scheduled_at": wake.scheduled_at, "sandbox_at": wake.sandbox_at, "container_at": wake.started_at}
    written = {name: to_micro_time(at) for name, at in times.items() if at is not None}
    return {"started_at": to_micro_time(wake.woken_at), "reason": wake.reason, **written}


def _price(resource: Resource, region: Region) -> float:
    """Return the price of a server here: on spot where the resource asks for spot, and not what covers for it now."""
    price = region.price_per_gpu_hour
    if price is None:
        return 0.0
    first, second = price.on_demand, price.spot
    if resource.spec.capacity.spot != SpotUse.NEVER:
        first, second = second, first
    return float(first or second or 0)
