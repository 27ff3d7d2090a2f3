"""Binds pods to nodes: node selector, node affinity, tolerations and zone spread of one capacity pool.

Knows how the table of capacity labels (capacity_labels.py) becomes affinity and tolerations, and how a user's own are
merged with them: both must hold. Does not know the rest of the pod (pod.py).
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.manifests.pods.capacity_labels import CAPACITY_LABELS, GPU_TAINTS, GpuTaint
from voxfleet_operator.resources import (
    PodTemplate,
    Region,
    Resource,
    SpotUse,
    effective_node_selector,
    effective_pod_template,
)

Term = dict[str, Any]

NODE_AFFINITY = "nodeAffinity"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TERMS = "nodeSelectorTerms"
ZONE_KEYS = frozenset({"topology.kubernetes.io/zone", "topology.kubernetes.io/region"})


def placement(resource: Resource, region: Region, pool: str) -> dict[str, Any]:
    """Return the part of a pod spec that decides on which nodes the pool's pods may run."""
    added = effective_pod_template(resource.spec, region)
    return {
        "nodeSelector": effective_node_selector(region),
        "affinity": merged_affinity(pool, added.affinity),
        "tolerations": tolerations(resource, added, pool),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",  # one zone may be the only one with a free GPU
                "labelSelector": {"matchLabels": names.region_selector(resource.key.name, region.name)},
            }
        ],
    }


def merged_affinity(pool: str, users: dict[str, Any] | None) -> dict[str, Any]:
    """Return the affinity under which both the pool's rule and the user's hold.

    Terms are alternatives and the expressions of a term must all match, so the merged terms are all pairs. A user's
    required node affinity that is malformed is kept as it is: the API server rejects it and names the field.
    """
    affinity = users or {}
    node_affinity = affinity.get(NODE_AFFINITY) or {}
    if _is_malformed(node_affinity):
        return affinity
    terms = [_both(own, users_term) for own in pool_terms(pool) for users_term in _users_terms(node_affinity)]
    required = {REQUIRED: {TERMS: terms or [{}]}}  # a term without expressions matches no node
    return affinity | {NODE_AFFINITY: node_affinity | required}


def pool_terms(pool: str) -> list[Term]:
    """Return the node selector terms of a pool: any label of the table for spot, none of them for on demand."""
    if pool == names.POOL_SPOT:
        return [{"matchExpressions": [_expression(row.key, "In", row.spot_values)]} for row in CAPACITY_LABELS]
    # NotIn also matches a node without the label.
    return [{"matchExpressions": [_expression(row.key, "NotIn", row.spot_values) for row in CAPACITY_LABELS]}]


def has_possible_node(pool: str, node_selector: dict[str, str], users: dict[str, Any] | None) -> bool:
    """Whether a node of some platform could satisfy the pool's rule, the node selector and the user's affinity.

    A label of the table that the user requires says which platform it is: its nodes have none of the others.
    """
    node_affinity = (users or {}).get(NODE_AFFINITY) or {}
    if _is_malformed(node_affinity):
        return True  # the API server's error says more
    selected = [_expression(key, "In", (value,)) for key, value in node_selector.items()]
    alternatives = [_expressions(term) + selected for term in _users_terms(node_affinity)]
    return any(
        _is_satisfiable(_expressions(own) + users_own)
        for users_own in alternatives
        for own in _terms_of_platform(pool, users_own)
    )


def _terms_of_platform(pool: str, expressions: list[dict[str, Any]]) -> list[Term]:
    keys = {each["key"] for each in expressions if each.get("operator") in {"In", "Exists"}}
    terms = pool_terms(pool)
    named = [
        term for term in terms if len(term["matchExpressions"]) == 1 and term["matchExpressions"][0]["key"] in keys
    ]
    return named or terms


def tolerations(resource: Resource, added: PodTemplate, pool: str) -> list[dict[str, Any]]:
    """Return tolerations for the taints of GPU nodes, on spot those of spot nodes too, and what the user adds."""
    gpu = resource.spec.gpu
    own: list[dict[str, Any]] = []
    if gpu.count:
        # Clouds taint GPU nodes with the name of their extended resource, so that only pods which need a GPU run there.
        taints = (GpuTaint("any", gpu.resource_name), *GPU_TAINTS)
        tolerated = [_tolerated(taint.key, taint.value) | {"effect": "NoSchedule"} for taint in taints]
        own = [each for number, each in enumerate(tolerated) if each not in tolerated[:number]]
    if pool == names.POOL_SPOT:
        # Of every effect: a spot taint says what the node is, not that it ends.
        own += [_tolerated(row.key, value) for row in CAPACITY_LABELS for value in row.spot_values]
    users = [toleration.model_dump(by_alias=True, exclude_none=True) for toleration in added.tolerations or ()]
    return own + [toleration for toleration in users if toleration not in own]


def widest_pool(resource: Resource) -> str:
    """Return the pool whose pods tolerate the nodes of every pool of the resource."""
    return names.POOL_ON_DEMAND if resource.spec.capacity.spot == SpotUse.NEVER else names.POOL_SPOT


def zone_affinity(users: dict[str, Any] | None) -> dict[str, Any]:
    """Return the part of a user's affinity that says in which zones pods run; empty where it allows every zone.

    A volume is made in the zone of the first pod that uses it, so that pod must be where servers may run, though not
    on their kind of machine.
    """
    node_affinity = (users or {}).get(NODE_AFFINITY) or {}
    if _is_malformed(node_affinity):
        return {}
    terms = [[each for each in _expressions(term) if each["key"] in ZONE_KEYS] for term in _users_terms(node_affinity)]
    if not terms or not all(terms):
        return {}
    return {NODE_AFFINITY: {REQUIRED: {TERMS: [{"matchExpressions": term} for term in terms]}}}


def _tolerated(key: str, value: str | None = None) -> dict[str, Any]:
    return {"key": key, "operator": "Exists"} if value is None else {"key": key, "operator": "Equal", "value": value}


def _expression(key: str, operator: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def _users_terms(node_affinity: dict[str, Any]) -> list[Term]:
    """Return the user's terms; without a required affinity one that adds nothing. An empty one matches no node."""
    if REQUIRED not in node_affinity:
        return [{}]
    terms: list[Term] = node_affinity[REQUIRED][TERMS]
    return [term for term in terms if term.get("matchExpressions") or term.get("matchFields")]


def _both(own: Term, users: Term) -> Term:
    merged = {"matchExpressions": [*own["matchExpressions"], *_expressions(users)]}
    return merged | ({"matchFields": users["matchFields"]} if users.get("matchFields") else {})


def _expressions(term: Term) -> list[dict[str, Any]]:
    return list(term.get("matchExpressions") or [])


def _is_malformed(node_affinity: Any) -> bool:
    """Whether a required node affinity is not what the API server accepts: a list of terms, each with lists."""
    if not isinstance(node_affinity, dict):
        return True
    if REQUIRED not in node_affinity:
        return False
    required = node_affinity[REQUIRED]
    terms = required.get(TERMS) if isinstance(required, dict) else None
    return not isinstance(terms, list) or not terms or not all(_is_term(term) for term in terms)


def _is_term(term: Any) -> bool:
    if not isinstance(term, dict):
        return False
    parts = [term.get(name) or [] for name in ("matchExpressions", "matchFields")]
    return all(isinstance(part, list) and all(_is_expression(each) for each in part) for part in parts)


def _is_expression(expression: Any) -> bool:
    if not isinstance(expression, dict) or not isinstance(expression.get("key"), str):
        return False
    values = expression.get("values") or []
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _is_satisfiable(expressions: list[dict[str, Any]]) -> bool:
    """Whether one set of labels can match all expressions; keys are independent of each other."""
    keys = {each.get("key") for each in expressions}
    return all(_has_value([each for each in expressions if each.get("key") == key]) for key in keys)


def _has_value(expressions: list[dict[str, Any]]) -> bool:
    """Whether a label with some value, or an absent label, matches all expressions on one key."""
    mentioned = {value for each in expressions for value in each.get("values") or []}
    unmentioned = "".join(sorted(mentioned)) + "x"
    return any(all(_matches(each, value) for each in expressions) for value in (*mentioned, unmentioned, None))


def _matches(expression: dict[str, Any], value: str | None) -> bool:
    """Apply one expression to a label's value, None for an absent label, as the scheduler does."""
    values = expression.get("values") or []
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:  # Gt and Lt compare numbers; whether a node has such a number is not known here
            return value is not None
