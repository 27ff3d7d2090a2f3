"""All objects of a resource, in the order in which they are applied.

Knows which objects there are and what owns them. Does not know whether they exist already.
"""

from dataclasses import dataclass
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.region_plan import RegionPlan
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.manifests.pod import API_PORT, INTERNAL_PORT, METRICS_PORT, PodSettings, pod_template
from voxfleet_operator.manifests.registry import registry_entry
from voxfleet_operator.manifests.weights import weights_of
from voxfleet_operator.resources import Region, Resource, effective_autoscaling

STRATEGIES: dict[str, dict[str, int]] = {
    "Surge": {"maxSurge": 1, "maxUnavailable": 0},
    "Replace": {"maxSurge": 0, "maxUnavailable": 1},
}


@dataclass(frozen=True, slots=True)
class Installation:
    """Where VoxFleet itself lives, and what it gives every pod."""

    system_namespace: str
    demand_namespace: str
    gateway_host: str
    pod: PodSettings
    allowed_host_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object to apply."""

    kind: str
    namespace: str
    name: str
    body: dict[str, Any]


def desired_objects(
    resource: Resource, plans: dict[str, RegionPlan], installation: Installation, *, owns_model_name: bool
) -> list[Manifest]:
    """What wakes comes first, what gateways must know before a server leaves comes before its end."""
    regions = [region for region in resource.spec.regions if region.kube_config_secret_ref is None]
    deployments = [_deployment(resource, region, plans[region.name], installation) for region in regions]
    growing = [made for made in deployments if made.body["spec"]["replicas"] > 0]
    ending = [made for made in deployments if made.body["spec"]["replicas"] == 0]
    return [
        *growing,
        *(_lease(resource, region, installation) for region in regions),
        *(_regional_service(resource, region) for region in regions),
        _front_service(resource, installation),
        _network_policy(resource, installation),
        _registry(resource, plans, installation, owns_model_name=owns_model_name),
        *ending,
    ]


def _owned(resource: Resource, kind: str, api_version: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Head of an object beside the resource: the garbage collector takes it along."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "namespace": resource.key.namespace,
            "name": name,
            "labels": labels,
            "ownerReferences": [resource.owner_reference],
        },
    }


def _elsewhere(  # noqa: PLR0913, PLR0917 - the head of an object has that many parts
    resource: Resource, kind: str, api_version: str, namespace: str, name: str, labels: dict[str, str]
) -> dict[str, Any]:
    """Head of an object in another namespace: found and collected by its labels."""
    annotations = {names.ANNOTATION_UID: resource.uid}
    metadata = {"namespace": namespace, "name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _manifest(body: dict[str, Any]) -> Manifest:
    return Manifest(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"], body)


def _labels(resource: Resource, region: Region) -> dict[str, str]:
    return names.regional_labels(resource.key.namespace, resource.key.name, region.name)


def _deployment(resource: Resource, region: Region, plan: RegionPlan, installation: Installation) -> Manifest:
    """Every field in one apply, replicas included; the wake's begin stands beside them."""
    labels = _labels(resource, region)
    selector = names.pod_selector(resource.key.name, region.name)
    name = names.on_demand_name(resource.key.name, region.name)
    body = _owned(resource, "Deployment", "apps/v1", name, labels)
    if plan.replicas > 0 and plan.woken_at is not None:
        body["metadata"]["annotations"] = {
            names.ANNOTATION_WOKEN_AT: to_micro_time(plan.woken_at),
            names.ANNOTATION_WOKEN_REASON: plan.woken_reason,
        }
    weights = weights_of(resource.spec, installation.allowed_host_paths)
    spec = {
        "replicas": plan.replicas,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": effective_autoscaling(resource.spec, region).wake_timeout_seconds + 60,
        "selector": {"matchLabels": selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": STRATEGIES[resource.spec.rollout.strategy]},
        "template": pod_template(resource, region, labels, weights, installation.pod),
    }
    return _manifest(body | {"spec": spec})


def _lease(resource: Resource, region: Region, installation: Installation) -> Manifest:
    """Only the duration is ours: who applied renewTime would take it away from the gateways."""
    key = resource.key
    name = names.lease_name(key.namespace, key.name, region.name)
    api_version, labels = "coordination.k8s.io/v1", _labels(resource, region)
    body = _elsewhere(resource, "Lease", api_version, installation.demand_namespace, name, labels)
    seconds = effective_autoscaling(resource.spec, region).idle_timeout_seconds
    return _manifest(body | {"spec": {"leaseDurationSeconds": seconds}})


def _regional_service(resource: Resource, region: Region) -> Manifest:
    """Headless: gateways speak to pod addresses, and kube-proxy has nothing to do."""
    body = _owned(
        resource, "Service", "v1", names.regional_name(resource.key.name, region.name), _labels(resource, region)
    )
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "selector": names.pod_selector(resource.key.name, region.name),
        "ports": [_port("http", API_PORT), _port("internal", INTERNAL_PORT)],
    }
    return _manifest(body | {"spec": spec})


def _front_service(resource: Resource, installation: Installation) -> Manifest:
    """The name that clients use: it leads to the gateways, so it answers while replicas are zero."""
    labels = names.resource_labels(resource.key.namespace, resource.key.name)
    body = _owned(resource, "Service", "v1", resource.key.name, labels | {"app.kubernetes.io/component": "gateway"})
    spec = {"type": "ExternalName", "externalName": installation.gateway_host, "ports": [_port("http", API_PORT)]}
    return _manifest(body | {"spec": spec})


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}


def _network_policy(resource: Resource, installation: Installation) -> Manifest:
    """People and programs reach 6006 and 9090; internal ports belong to gateways and the operator."""
    labels = names.resource_labels(resource.key.namespace, resource.key.name)
    body = _owned(
        resource, "NetworkPolicy", "networking.k8s.io/v1", names.network_policy_name(resource.key.name), labels
    )
    system = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": installation.system_namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "voxfleet"}},
    }
    spec = {
        "podSelector": {"matchLabels": {names.LABEL_DEPLOYMENT: resource.key.name}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"protocol": "TCP", "port": API_PORT}, {"protocol": "TCP", "port": METRICS_PORT}]},
            {"from": [system], "ports": [{"protocol": "TCP", "port": INTERNAL_PORT}]},
        ],
    }
    return _manifest(body | {"spec": spec})


def _registry(
    resource: Resource, plans: dict[str, RegionPlan], installation: Installation, *, owns_model_name: bool
) -> Manifest:
    key = resource.key
    labels = names.resource_labels(key.namespace, key.name) | {names.LABEL_REGISTRY: "true"}
    name = names.registry_name(key.namespace, key.name)
    body = _elsewhere(resource, "ConfigMap", "v1", installation.system_namespace, name, labels)
    entry = registry_entry(resource, plans, installation.demand_namespace, owns_model_name=owns_model_name)
    return _manifest(body | {"data": {"model.json": entry}})
