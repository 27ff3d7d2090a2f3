"""Builds all objects of a resource, in the order in which they are applied.

Knows which objects there are. Does not know whether they exist already, nor how they are owned (kinds/table.py).
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.capacity.pools import pools_of
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.remote.recorded import regions_in
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.decisions.ways_in import NO_WAYS, WaysIn
from voxfleet_operator.decisions.weights.fetches import Fetch
from voxfleet_operator.manifests.fetch_job import job_spec
from voxfleet_operator.manifests.manifest import Installation, Manifest, manifest_of
from voxfleet_operator.manifests.pods.containers import API_PORT, INTERNAL_PORT
from voxfleet_operator.manifests.pods.pod import pod_template
from voxfleet_operator.manifests.pods.weights import weights_of
from voxfleet_operator.manifests.pre_pull import PrePull, daemon_set_spec, pre_pulls
from voxfleet_operator.manifests.registry import RegistryPlace, registry_entry
from voxfleet_operator.manifests.templates import stamped
from voxfleet_operator.manifests.ways_in import server_policy, ways_in_objects
from voxfleet_operator.resources import Region, Resource, effective_autoscaling

# With one GPU per replica, Surge needs a spare GPU during a rollout; Replace needs none and drops one replica.
STRATEGIES: dict[str, dict[str, int]] = {
    "Surge": {"maxSurge": 1, "maxUnavailable": 0},
    "Replace": {"maxSurge": 0, "maxUnavailable": 1},
}
NOT_FETCHED = "none"  # no key, so the template reads other weights than every fetched one
# Old ReplicaSets: the last template that worked is found there after so many that did not. Kubernetes' own default.
REVISIONS_KEPT = 10
PROGRESS_GRACE_SECONDS = 60  # the operator's WakeTimeout is reported before the Deployment's own deadline


def desired_objects(  # noqa: PLR0913 - keyword-only facts of one cluster
    resource: Resource,
    plan: ResourcePlan,
    installation: Installation,
    *,
    owned_names: frozenset[str],
    pulls: frozenset[PrePull] = frozenset(),
    ways_in: WaysIn = NO_WAYS,
) -> list[Manifest]:
    """Return every object that the resource needs now in the installation's cluster, in the order of application.

    Deployments that grow come first, because requests wait for them. Those that go to zero come last: gateways must
    read the phase from the registry before a server leaves. `pulls`: images that this resource pulls to nodes, for
    others too. `ways_in`: beside the Service.
    """
    regions = regions_in(resource, installation.kubeconfig)
    deployments = [
        _deployment(resource, region, plan.regions[region.name], pool, installation)
        for region in regions
        for pool in _pools(resource, plan.regions[region.name])
    ]
    running = [manifest for manifest in deployments if manifest.body["spec"]["replicas"] > 0]
    at_zero = [manifest for manifest in deployments if manifest.body["spec"]["replicas"] == 0]
    return [
        *running,
        *(_lease(resource, region, installation) for region in regions),
        *(_regional_service(resource, region, installation) for region in regions),
        # Of one replica it would keep a node from being drained for ever.
        *(_budget(resource, region, installation) for region in regions if plan.regions[region.name].replicas > 1),
        _front_service(resource, installation),
        server_policy(resource, installation),
        _registry(resource, plan, installation, owned_names=owned_names),
        *(manifest for region in regions for manifest in _fetched(resource, region, plan, installation)),
        *_pre_pulls(resource, pulls, installation),
        *ways_in_objects(resource, ways_in, installation),
        *at_zero,
    ]


def _fetched(resource: Resource, region: Region, plan: ResourcePlan, installation: Installation) -> list[Manifest]:
    """The claim for a region's weights, unless the user has made it, and the Job that fills it."""
    claim = weights_of(resource, region, installation.allowed_host_paths).claim
    if claim is None:
        return []
    labels, fetch = _labels(resource, region), plan.regions[region.name].fetch
    made = []
    if claim.spec is not None:
        made.append(manifest_of(resource, installation, "PersistentVolumeClaim", claim.name, labels, spec=claim.spec))
    if fetch is not None:
        made.append(_fetch_job(resource, region, fetch, installation))
    return made


def _fetch_job(resource: Resource, region: Region, fetch: Fetch, installation: Installation) -> Manifest:
    weights = weights_of(resource, region, installation.allowed_host_paths)
    assert weights.claim is not None  # noqa: S101 - the caller has checked it
    name = names.fill_name(resource.key.name, region.name, fetch.key, fetch.attempt)
    labels = _labels(resource, region) | {names.LABEL_WEIGHTS: fetch.key}
    annotations = {
        names.ANNOTATION_ATTEMPT: str(fetch.attempt),
        names.ANNOTATION_CLAIM_UID: fetch.claim_uid,
        names.ANNOTATION_GENERATION: str(resource.generation),
    }
    spec = job_spec(resource, region, weights, weights.claim, fetch.key, installation.pod)
    return manifest_of(resource, installation, "Job", name, labels, annotations=annotations, spec=spec)


def _pre_pulls(resource: Resource, pulls: frozenset[PrePull], installation: Installation) -> list[Manifest]:
    made = []
    for pull, region in pre_pulls(resource, installation.pod, installation.kubeconfig).items():
        if pull in pulls:
            name = names.pre_pull_name(resource.key.name, pull.image, pull.placement)
            labels = names.resource_labels(resource.key.namespace, resource.key.name)
            spec = daemon_set_spec(resource, region, name, installation.pod)
            made.append(manifest_of(resource, installation, "DaemonSet", name, labels, spec=spec))
    return made


def _labels(resource: Resource, region: Region) -> dict[str, str]:
    return names.regional_labels(resource.key.namespace, resource.key.name, region.name)


def _pools(resource: Resource, plan: RegionPlan) -> tuple[str, ...]:
    """The pools that the spec asks for, and one that it no longer asks for until its replicas are handed over."""
    wanted = pools_of(resource.spec.capacity)
    return tuple(pool for pool in names.POOLS if pool in wanted or plan.pools.of(pool) > 0)


def _deployment(
    resource: Resource, region: Region, plan: RegionPlan, pool: str, installation: Installation
) -> Manifest:
    """Every field in one apply, `replicas` included: an apply without it would reset it to 1."""
    key, replicas = resource.key, plan.pools.of(pool)
    labels = names.pool_labels(key.namespace, key.name, region.name, pool)
    annotations = {names.ANNOTATION_GENERATION: str(resource.generation)}
    if replicas > 0 and plan.woken_at is not None:
        annotations[names.ANNOTATION_WOKEN_AT] = to_micro_time(plan.woken_at)
        annotations[names.ANNOTATION_WOKEN_REASON] = plan.woken_reason
    annotations[names.ANNOTATION_REGION_REPLICAS] = str(plan.replicas)
    annotations[names.ANNOTATION_POOL_REPLICAS] = str(plan.targets.of(pool))
    annotations[names.ANNOTATION_REPLICAS] = str(replicas)
    if pool in plan.proven_templates:
        annotations[names.ANNOTATION_PROVEN_TEMPLATE] = plan.proven_templates[pool]
    if plan.failure is not None:
        annotations[names.ANNOTATION_FAILURE] = plan.failure.model_dump_json(by_alias=True, exclude_none=True)
    if pool == names.POOL_SPOT and plan.spot_reclaimed_at is not None:
        annotations[names.ANNOTATION_SPOT_RECLAIMED_AT] = to_micro_time(plan.spot_reclaimed_at)
    weights = weights_of(resource, region, installation.allowed_host_paths)
    # Weights in another claim, or fetched again into a new one, are another template.
    fetched = {names.LABEL_WEIGHTS: plan.fetch.key if plan.fetch else NOT_FETCHED} if weights.claim else {}
    timeout_seconds = effective_autoscaling(resource.spec, region).wake_timeout_seconds
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": REVISIONS_KEPT,
        "progressDeadlineSeconds": timeout_seconds + PROGRESS_GRACE_SECONDS,
        "selector": {"matchLabels": names.pod_selector(key.name, region.name, pool)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": STRATEGIES[resource.spec.rollout.strategy]},
        "template": stamped(pod_template(resource, region, pool, fetched, weights, installation.pod)),
    }
    name = names.workload_name(key.name, region.name, pool)
    return manifest_of(resource, installation, "Deployment", name, labels, annotations=annotations, spec=spec)


def _lease(resource: Resource, region: Region, installation: Installation) -> Manifest:
    """The duration only: an apply of renewTime would take its ownership from the gateways, and then remove it."""
    name = names.lease_name(resource.key.namespace, resource.key.name, region.name)
    spec = {"leaseDurationSeconds": effective_autoscaling(resource.spec, region).idle_timeout_seconds}
    return manifest_of(resource, installation, "Lease", name, _labels(resource, region), spec=spec)


def _regional_service(resource: Resource, region: Region, installation: Installation) -> Manifest:
    """Headless: gateways connect to pod addresses, so kube-proxy needs no rules."""
    name = names.regional_name(resource.key.name, region.name)
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "selector": names.region_selector(resource.key.name, region.name),
        "ports": [_port("http", API_PORT), _port("internal", INTERNAL_PORT)],
    }
    return manifest_of(resource, installation, "Service", name, _labels(resource, region), spec=spec)


def _budget(resource: Resource, region: Region, installation: Installation) -> Manifest:
    """Limits evictions of a region's pods, of all pools; one that has drained is evicted at any time."""
    name = names.regional_name(resource.key.name, region.name)
    spec = {
        "maxUnavailable": resource.spec.disruption.max_unavailable,
        "selector": {"matchLabels": names.region_selector(resource.key.name, region.name)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return manifest_of(resource, installation, "PodDisruptionBudget", name, _labels(resource, region), spec=spec)


def _front_service(resource: Resource, installation: Installation) -> Manifest:
    """The name that clients use: an alias of the gateways' Service, so it answers while replicas are zero."""
    key = resource.key
    labels = names.resource_labels(key.namespace, key.name) | {"app.kubernetes.io/component": "gateway"}
    spec = {"type": "ExternalName", "externalName": installation.gateway_host, "ports": [_port("http", API_PORT)]}
    return manifest_of(resource, installation, "Service", key.name, labels, spec=spec)


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}


def registry_of(
    resource: Resource, plan: ResourcePlan, installation: Installation, *, owned_names: frozenset[str]
) -> str:
    """Return what gateways of the installation's cluster read about a resource."""
    place = RegistryPlace(installation.demand_namespace, installation.kubeconfig, installation.allowed_peers)
    return registry_entry(resource, plan, place, owned_names=owned_names)


def _registry(
    resource: Resource, plan: ResourcePlan, installation: Installation, *, owned_names: frozenset[str]
) -> Manifest:
    key = resource.key
    labels = names.resource_labels(key.namespace, key.name) | {names.LABEL_REGISTRY: "true"}
    name = names.registry_name(key.namespace, key.name)
    entry = registry_of(resource, plan, installation, owned_names=owned_names)
    return manifest_of(resource, installation, "ConfigMap", name, labels, data={"model.json": entry})
