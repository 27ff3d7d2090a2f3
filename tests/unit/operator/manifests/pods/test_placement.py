"""Which nodes may run a pool's pods, judged by the scheduler's own rules on the nodes of each platform."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.manifests.pods.capacity_labels import CAPACITY_LABELS
from voxfleet_operator.manifests.pods.placement import has_possible_node, merged_affinity, zone_affinity
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT, POOLS
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]
Made = Callable[..., list[Manifest]]
Spec = dict[str, Any]

REGION = {"topology.kubernetes.io/region": "eu"}
GPU_PRESENT = ("nvidia.com/gpu", "present", "NoSchedule")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

# (node, its pool, labels, taints): as each platform makes them, or as its documentation has users make them.
NODES: list[tuple[str, str, dict[str, str], list[tuple[str, str, str]]]] = [
    ("Karpenter spot", POOL_SPOT, {"karpenter.sh/capacity-type": "spot"}, [("nvidia.com/gpu", "true", "NoSchedule")]),
    (
        "Karpenter spot with a taint",
        POOL_SPOT,
        {"karpenter.sh/capacity-type": "spot", "karpenter.sh/nodepool": "spot"},
        [("karpenter.sh/capacity-type", "spot", "NoSchedule"), ("nvidia.com/gpu", "", "NoSchedule")],
    ),
    ("Karpenter on demand", POOL_ON_DEMAND, {"karpenter.sh/capacity-type": "on-demand"}, [GPU_PRESENT]),
    ("Karpenter reserved", POOL_ON_DEMAND, {"karpenter.sh/capacity-type": "reserved"}, []),
    ("EKS spot", POOL_SPOT, {"eks.amazonaws.com/capacityType": "SPOT"}, []),
    (
        "EKS spot with a taint",
        POOL_SPOT,
        {"eks.amazonaws.com/capacityType": "SPOT"},
        [("eks.amazonaws.com/capacityType", "SPOT", "NoExecute")],
    ),
    ("EKS on demand", POOL_ON_DEMAND, {"eks.amazonaws.com/capacityType": "ON_DEMAND"}, [GPU_PRESENT]),
    ("EKS capacity block", POOL_ON_DEMAND, {"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"}, []),
    (
        "GKE spot",
        POOL_SPOT,
        {"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"},
        [("cloud.google.com/gke-spot", "true", "NoSchedule"), GPU_PRESENT],
    ),
    ("GKE preemptible", POOL_SPOT, {"cloud.google.com/gke-preemptible": "true"}, [GPU_PRESENT]),
    ("GKE preemptible of now", POOL_SPOT, {"cloud.google.com/gke-provisioning": "preemptible"}, [GPU_PRESENT]),
    ("GKE standard", POOL_ON_DEMAND, {"cloud.google.com/gke-provisioning": "standard"}, [GPU_PRESENT]),
    (
        "AKS spot",
        POOL_SPOT,
        {"kubernetes.azure.com/scalesetpriority": "spot"},
        [("kubernetes.azure.com/scalesetpriority", "spot", "NoSchedule"), ("sku", "gpu", "NoSchedule")],
    ),
    ("AKS regular", POOL_ON_DEMAND, {"kubernetes.azure.com/mode": "user"}, [("sku", "gpu", "NoSchedule")]),
    ("own label", POOL_SPOT, {"voxfleet.dev/capacity-type": "spot"}, []),
    ("no label", POOL_ON_DEMAND, {}, []),
    ("no label, GPU taint", POOL_ON_DEMAND, {}, [GPU_PRESENT]),
]


def pod_of(made: Made, of: Resource, pool: str) -> Spec:
    """The pod spec of one pool, from the manifests."""
    deployments = [manifest.body for manifest in made(of) if manifest.kind == "Deployment"]
    spec: Spec = next(
        body["spec"]["template"]["spec"]
        for body in deployments
        if body["metadata"]["labels"]["voxfleet.dev/pool"] == pool
    )
    return spec


def may_run(pod: Spec, labels: dict[str, str], taints: list[tuple[str, str, str]] | None = None) -> bool:
    """The scheduler's filters NodeAffinity and TaintToleration, as Kubernetes documents them."""
    selected = all(labels.get(key) == value for key, value in pod["nodeSelector"].items())
    required = pod["affinity"]["nodeAffinity"].get(REQUIRED)
    placed = required is None or any(term_matches(term, labels) for term in required["nodeSelectorTerms"])
    return selected and placed and all(is_tolerated(pod["tolerations"], taint) for taint in taints or [])


def term_matches(term: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = term.get("matchExpressions") or []
    return bool(expressions) and all(expression_matches(each, labels) for each in expressions)


def expression_matches(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]


def is_tolerated(tolerations: list[dict[str, Any]], taint: tuple[str, str, str]) -> bool:
    key, value, effect = taint
    return any(
        each.get("key") in {None, key}
        and each.get("effect") in {None, effect}
        and (each.get("operator") == "Exists" or each.get("value", "") == value)
        for each in tolerations
    )


@pytest.mark.parametrize(("node", "pool", "labels", "taints"), NODES, ids=[node[0] for node in NODES])
@pytest.mark.parametrize("of_pool", POOLS)
def test_a_pod_runs_on_the_nodes_of_its_pool_and_on_no_other(
    node: str,
    pool: str,
    labels: dict[str, str],
    taints: list[tuple[str, str, str]],
    of_pool: str,
    resource: Resources,
    made: Made,
) -> None:
    pod = pod_of(made, resource(capacity={"spot": "Preferred"}), of_pool)
    assert may_run(pod, REGION | labels, taints) == (of_pool == pool), node


def test_without_spot_a_pod_runs_on_nodes_without_labels_and_on_no_spot_node(resource: Resources, made: Made) -> None:
    pod = pod_of(made, resource(), POOL_ON_DEMAND)
    assert may_run(pod, REGION)
    assert not any(may_run(pod, REGION | {row.key: row.spot_values[0]}) for row in CAPACITY_LABELS)
    assert pod == pod_of(made, resource(capacity={"spot": "Preferred"}), POOL_ON_DEMAND), "switching spot rolls no pod"


def test_without_a_gpu_no_gpu_taint_is_tolerated(resource: Resources, made: Made) -> None:
    on_cpu = resource(gpu={"count": 0}, capacity={"spot": "Required"})
    assert not may_run(pod_of(made, on_cpu, POOL_SPOT), REGION | {"karpenter.sh/capacity-type": "spot"}, [GPU_PRESENT])


def test_a_slice_of_a_gpu_runs_on_nodes_that_are_tainted_for_whole_ones(resource: Resources, made: Made) -> None:
    pod = pod_of(made, resource(gpu={"resourceName": "nvidia.com/mig-1g.10gb"}), POOL_ON_DEMAND)
    assert may_run(pod, REGION, [GPU_PRESENT, ("nvidia.com/mig-1g.10gb", "", "NoSchedule")])


def test_a_taint_of_another_kind_is_not_tolerated_unless_the_user_does(resource: Resources, made: Made) -> None:
    spot, taint = REGION | {"karpenter.sh/capacity-type": "spot"}, ("team", "video", "NoSchedule")
    asked: dict[str, Any] = {"capacity": {"spot": "Required"}}
    assert not may_run(pod_of(made, resource(**asked), POOL_SPOT), spot, [taint])
    template = {"tolerations": [{"key": "team", "operator": "Exists"}]}
    assert may_run(pod_of(made, resource(**asked, podTemplate=template), POOL_SPOT), spot, [taint])


keys = st.sampled_from([row.key for row in CAPACITY_LABELS] + ["zone", "gpu-model"])
values = st.sampled_from(["spot", "SPOT", "true", "on-demand", "a", "b"])
expressions = st.one_of(
    st.fixed_dictionaries(
        {"key": keys, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(values, min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"key": keys, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
terms = st.fixed_dictionaries({}, optional={"matchExpressions": st.lists(expressions, max_size=3)})
node_labels = st.dictionaries(keys, values, max_size=5)


def affinity_of(users_terms: list[dict[str, Any]]) -> dict[str, Any]:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": users_terms}}}


def allowed(affinity: dict[str, Any], labels: dict[str, str]) -> bool:
    return may_run({"nodeSelector": {}, "affinity": affinity, "tolerations": []}, labels)


@given(st.sampled_from(POOLS), st.lists(terms, min_size=1, max_size=3), node_labels)
def test_property_merged_is_both(pool: str, users_terms: list[dict[str, Any]], labels: dict[str, str]) -> None:
    users = affinity_of(users_terms)
    both = allowed(merged_affinity(pool, None), labels) and allowed(users, labels)
    assert allowed(merged_affinity(pool, users), labels) == both


@given(st.sampled_from(POOLS), st.lists(terms, min_size=1, max_size=3), node_labels)
def test_property_no_conflict_is_reported_where_a_node_of_one_platform_fits(
    pool: str, users_terms: list[dict[str, Any]], labels: dict[str, str]
) -> None:
    users, platform = affinity_of(users_terms), [row.key for row in CAPACITY_LABELS if row.key in labels]
    if len(platform) <= 1 and allowed(merged_affinity(pool, users), labels):
        assert has_possible_node(pool, {}, users)


zoned_expressions = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["topology.kubernetes.io/zone", "gpu-model"]),
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2),
    }
)
zoned_terms = st.fixed_dictionaries({"matchExpressions": st.lists(zoned_expressions, max_size=3)})
zoned_labels = st.dictionaries(
    st.sampled_from(["topology.kubernetes.io/zone", "gpu-model"]), st.sampled_from(["a", "b"]), max_size=2
)


@given(st.lists(zoned_terms, min_size=1, max_size=3), zoned_labels)
def test_property_no_zone_of_a_possible_server_is_left_out(
    users_terms: list[dict[str, Any]], labels: dict[str, str]
) -> None:
    users = affinity_of(users_terms)
    if allowed(users, labels):
        assert allowed({"nodeAffinity": {}} | zone_affinity(users), labels)
    assert "gpu-model" not in str(zone_affinity(users)), "the kind of machine does not matter for a volume"


def test_preferences_and_pod_affinity_of_the_user_are_kept() -> None:
    users = {"podAntiAffinity": {"x": 1}, "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [1]}}
    merged = merged_affinity(POOL_SPOT, users)
    assert merged["podAntiAffinity"] == {"x": 1}
    assert merged["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == [1]
    assert len(merged["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]) == len(CAPACITY_LABELS)


@pytest.mark.parametrize(
    "required",
    ["x", {}, {"nodeSelectorTerms": []}, {"nodeSelectorTerms": "x"}, {"nodeSelectorTerms": [1]}]
    + [{"nodeSelectorTerms": [{"matchExpressions": found}]} for found in ("x", [1], [{"key": "a", "values": [{}]}])],
)
def test_a_malformed_affinity_reaches_the_api_server_as_it_is(required: Any) -> None:
    """Its error names the field; an affinity of our own in its place would run pods on other nodes than asked for."""
    users = {"nodeAffinity": {REQUIRED: required}}
    assert merged_affinity(POOL_SPOT, users) == users
    assert has_possible_node(POOL_SPOT, {}, users)
