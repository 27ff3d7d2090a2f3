"""Judges a resource's spec: what it asks for and does not get, or gets differently.

Knows model names with another owner, bad schedules, conflicts of podTemplate, claims that cannot be
used, and which failed requests a retry may mend. Pure: the owners of its names and the claim come in as arguments.
Problems of running regions are warnings of their plans (decisions/region_plan.py).
"""

from collections.abc import Mapping

from voxfleet_operator.decisions.capacity.pools import pools_of
from voxfleet_operator.decisions.capacity.schedules import schedule_problems
from voxfleet_operator.decisions.remote.peer_domains import NO_PEERS, AllowedPeers, gateway_url_problem
from voxfleet_operator.decisions.remote.recorded import kubeconfig_of, regions_in
from voxfleet_operator.decisions.weights.claims import UsersClaim, claim_problem
from voxfleet_operator.manifests.pods.placement import has_possible_node
from voxfleet_operator.manifests.pods.pod import template_conflicts
from voxfleet_operator.manifests.pods.weights import weights_of
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT
from voxfleet_operator.resources import (
    Key,
    Region,
    Resource,
    effective_autoscaling,
    effective_node_selector,
    effective_pod_template,
)
from voxfleet_operator.status.conditions import Problem

# HTTP statuses of a write that is refused again until the object, a grant or a quota changes.
LASTING_STATUSES = frozenset({400, 403, 405, 413, 415, 422})
# Longer than a restart of the API server or an overload of etcd.
PASSING_SECONDS = 300.0


def apply_problem(status: int, message: str, failing_seconds: float) -> Problem:
    """Return the problem of a failed request; `failing_seconds`: for how long requests of this resource have failed."""
    is_lasting = status in LASTING_STATUSES or failing_seconds >= PASSING_SECONDS
    return Problem("ApplyFailed", message, is_lasting)


def problems_of(
    resource: Resource,
    owners_of_names: Mapping[str, Key | None],
    allowed_host_paths: tuple[str, ...],
    users_claim: UsersClaim | None = None,
    allowed_peers: AllowedPeers = NO_PEERS,
) -> tuple[Problem, ...]:
    """Return the problems of a spec, each once.

    `owners_of_names` has the oldest resource with each of its names; `users_claim` is the named claim, as it is.
    """
    return (
        *_names_taken(resource, owners_of_names),
        *_schedules(resource),
        *_template_conflicts(resource, allowed_host_paths),
        *_placement_conflicts(resource),
        *claim_problems(resource, users_claim),
        *_gateway_urls(resource, allowed_peers),
    )


def claim_problems(resource: Resource, claim: UsersClaim | None, kubeconfig: str = "") -> list[Problem]:
    """Return what is wrong with the claim that the spec names, in the cluster that the Secret leads to."""
    regions = regions_in(resource, kubeconfig)
    servers_of = {each.name: effective_autoscaling(resource.spec, each).max_replicas for each in regions}
    found = claim_problem(claim, servers_of) if claim is not None else None
    return [Problem(*found)] if found else []


def _gateway_urls(resource: Resource, allowed: AllowedPeers) -> list[Problem]:
    if not any(map(kubeconfig_of, resource.spec.regions)):
        return []  # gateways ask no other: all regions are in one cluster
    problems = (gateway_url_problem(region, allowed) for region in resource.spec.regions)
    return [Problem("GatewayURLForbidden", problem) for problem in problems if problem]


def _names_taken(resource: Resource, owners: Mapping[str, Key | None]) -> list[Problem]:
    taken = {name: owner for name, owner in owners.items() if owner != resource.key}
    own = taken.pop(resource.model_name, None)
    messages = [f"alias {name} belongs to {owner}, which gets its requests" for name, owner in taken.items()]
    if own is not None:
        named = [resource.key, *(name for name in resource.model_names[1:] if name not in taken)]
        answers = f"this resource answers as {', '.join(map(str, named))} only"
        messages.insert(0, f"model name {resource.model_name} belongs to {own}; {answers}")
    return [Problem("ModelNameTaken", message) for message in messages]


def _schedules(resource: Resource) -> list[Problem]:
    spec = resource.spec
    fields = {}
    for region in spec.regions:
        is_own = region.autoscaling is not None and region.autoscaling.schedules is not None
        field = f"regions[{region.name}].autoscaling.schedules" if is_own else "autoscaling.schedules"
        fields.update(dict.fromkeys(schedule_problems(effective_autoscaling(spec, region), field)))
    return [Problem("ScheduleInvalid", message) for message in fields]


def _template_conflicts(resource: Resource, allowed_host_paths: tuple[str, ...]) -> list[Problem]:
    conflicts = [
        field
        for region in resource.spec.regions
        for field in template_conflicts(
            effective_pod_template(resource.spec, region), weights_of(resource, region, allowed_host_paths)
        )
    ]
    # dict.fromkeys: regions mostly share one podTemplate, and the order must not change from run to run.
    return [
        Problem(
            "TemplateConflict", f"podTemplate.{field} is set by VoxFleet itself and was left out; choose another name"
        )
        for field in dict.fromkeys(conflicts)
    ]


def _placement_conflicts(resource: Resource) -> list[Problem]:
    """Say which pool of which region can have no node at all."""
    use = resource.spec.capacity.spot
    remedies = {
        POOL_SPOT: f"no spot node may run its servers, but capacity.spot is {use}: remove it, or set capacity.spot to "
        "Never",
        POOL_ON_DEMAND: "no on-demand node may run its servers: remove it, or for spot nodes set capacity.spot to "
        "Required",
    }
    return [
        Problem("PlacementConflict", f"region {region.name}: with podTemplate.affinity and nodeSelector {remedy}")
        for region in resource.spec.regions
        for pool, remedy in remedies.items()
        if pool in pools_of(resource.spec.capacity) and not _has_possible_node(resource, region, pool)
    ]


def _has_possible_node(resource: Resource, region: Region, pool: str) -> bool:
    affinity = effective_pod_template(resource.spec, region).affinity
    return has_possible_node(pool, effective_node_selector(region), affinity)
