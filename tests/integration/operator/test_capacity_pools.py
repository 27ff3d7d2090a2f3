"""Spot and on demand with a real API server, a real kube-scheduler and the real operator; nodes are objects only.

No controller runs here: the tests create pods from the Deployments' own templates, as a ReplicaSet would, and write the
status that a kubelet would write. Which node a pod gets is the scheduler's decision.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.manifests.pods.capacity_labels import CAPACITY_LABELS
from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build
from voxfleet_testbed.settings import Settings

# conftest.World: pytest loads test folders without packages, so the class cannot be imported by name.
World = Any
AddNode = Callable[..., str]

SPOT, ON_DEMAND = names.POOL_SPOT, names.POOL_ON_DEMAND
GPU = "nvidia.com/gpu"
QUICK_DRAIN = {"drainSeconds": 5}  # the test's pods do not say that they are empty, so each has its whole time
GPU_TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}

# platform -> (labels of an on-demand node, labels of a spot node, taint of a spot node)
PLATFORMS: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str] | None]] = {
    "karpenter": (
        {"karpenter.sh/capacity-type": "on-demand"},
        {"karpenter.sh/capacity-type": "spot"},
        {"key": "karpenter.sh/capacity-type", "value": "spot", "effect": "NoSchedule"},
    ),
    "eks": ({"eks.amazonaws.com/capacityType": "ON_DEMAND"}, {"eks.amazonaws.com/capacityType": "SPOT"}, None),
    "gke": (
        {"cloud.google.com/gke-provisioning": "standard"},
        {"cloud.google.com/gke-provisioning": "spot", "cloud.google.com/gke-spot": "true"},
        {"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"},
    ),
    "aks": (
        {},
        {"kubernetes.azure.com/scalesetpriority": "spot"},
        {"key": "kubernetes.azure.com/scalesetpriority", "value": "spot", "effect": "NoSchedule"},
    ),
    "unlabelled": ({}, {"voxfleet.dev/capacity-type": "spot"}, None),
}


@pytest.fixture(scope="module")
def scheduler(control_plane: ControlPlane, testbed_settings: Settings) -> Iterator[None]:
    """A kube-scheduler for this module: other modules expect that nothing else changes their pods."""
    with skipping(testbed_settings):
        build(control_plane.programs, ("kube-scheduler",))
    program = control_plane.programs.path("kube-scheduler")
    control_plane.start_process("kube-scheduler", command_lines.kube_scheduler(program, control_plane.kubeconfig))
    try:
        yield
    finally:
        control_plane.run.stop("kube-scheduler")


@pytest.fixture
def add_node(scheduler: None, world: World) -> Iterator[AddNode]:
    """Add a node with GPUs to the cluster; it is removed at the end."""
    assert scheduler is None
    made: list[str] = []

    def add(region: str, labels: dict[str, str], taint: dict[str, str] | None = None, gpus: int = 4) -> str:
        name = f"node-{world.namespace}-{len(made)}"
        path = f"/api/v1/nodes/{name}"
        metadata = {"name": name, "labels": {"topology.kubernetes.io/region": region, **labels}}
        made.append(path)
        world.api.apply(path, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        amounts = {"cpu": "64", "memory": "256Gi", "pods": "100", GPU: str(gpus)}
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [{"type": "Ready", "status": "True"}]}
        world.api.request("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")
        # In place of the taint "not ready", which the API server sets and the node controller would take off.
        taints = [GPU_TAINT, *([taint] if taint else [])]
        world.api.request("PATCH", path, {"spec": {"taints": taints}}, "application/merge-patch+json")
        return name

    yield add
    for path in made:
        with suppress(ApiError):
            world.api.delete(path)


def spec(*regions: str, **fields: Any) -> dict[str, Any]:
    return {
        "model": {"source": "file:///models/tiny"},
        "regions": [{"name": region} for region in regions],
        "autoscaling": {"minReplicas": 1, "maxReplicas": 2},
        **fields,
    }


def deployment_path(world: World, region: str, pool: str) -> str:
    name = names.workload_name("narrator", region, pool)
    return f"/apis/apps/v1/namespaces/{world.namespace}/deployments/{name}"


def replicas(world: World, region: str = "eu") -> dict[str, int]:
    found = {}
    for pool in names.POOLS:
        with suppress(ApiError):
            found[pool] = world.api.get(deployment_path(world, region, pool))["spec"]["replicas"]
    return found


def create_pod(world: World, name: str, pool: str, region: str = "eu") -> str:
    """Create a pod of a Deployment's template, as its ReplicaSet would."""
    template = world.api.get(deployment_path(world, region, pool))["spec"]["template"]
    metadata = {**template["metadata"], "name": name, "namespace": world.namespace}
    metadata.pop("creationTimestamp", None)
    path: str = f"/api/v1/namespaces/{world.namespace}/pods/{name}"
    world.made.append(path)
    world.api.apply(path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return path


def node_of(api: Api, path: str) -> str:
    node: str = api.get(path)["spec"].get("nodeName", "")
    return node


def scheduled_reason(api: Api, path: str) -> str:
    conditions = api.get(path).get("status", {}).get("conditions") or []
    return next((each.get("reason", "") for each in conditions if each["type"] == "PodScheduled"), "")


def until_replicas(world: World, expected: dict[str, int]) -> None:
    world.until(lambda: replicas(world) == expected, f"{expected}, not {replicas(world)}")


def region_status(world: World, region: str = "eu") -> dict[str, Any]:
    found: dict[str, Any] = next((each for each in world.status().get("regions", []) if each["name"] == region), {})
    return found


def test_on_every_platform_each_pod_gets_a_node_of_its_pool(world: World, add_node: AddNode) -> None:
    expected = {}
    for platform, (on_demand_labels, spot_labels, spot_taint) in PLATFORMS.items():
        expected[platform, ON_DEMAND] = add_node(platform, on_demand_labels)
        expected[platform, SPOT] = add_node(platform, spot_labels, spot_taint)
    world.apply(spec(*PLATFORMS, capacity={"spot": "Preferred", "onDemandBase": 1}))
    world.until(lambda: all(len(replicas(world, platform)) == 2 for platform in PLATFORMS), "both Deployments of each")
    pods = {
        (platform, pool, number): create_pod(world, f"{platform}-{pool}-{number}", pool, platform)
        for platform in PLATFORMS
        for pool in names.POOLS
        for number in range(2)
    }
    world.until(lambda: all(node_of(world.api, path) for path in pods.values()), "a node for each pod")
    assert {key: node_of(world.api, path) for key, path in pods.items()} == {key: expected[key[:2]] for key in pods}


def test_without_spot_nodes_of_any_platform_a_spot_pod_stays_pending(world: World, add_node: AddNode) -> None:
    for row in CAPACITY_LABELS:
        add_node("eu", {row.key: "something-else"})
    add_node("eu", {})
    world.apply(spec("eu", capacity={"spot": "Required"}))
    until_replicas(world, {SPOT: 1})
    path = create_pod(world, "spot-1", SPOT)
    world.until(lambda: scheduled_reason(world.api, path) == "Unschedulable", "the scheduler has tried")
    assert node_of(world.api, path) == ""


def test_spot_that_is_missing_comes_back_and_is_switched_off(world: World, add_node: AddNode) -> None:
    add_node("eu", {"karpenter.sh/capacity-type": "on-demand"})
    capacity = {"spot": "Preferred", "spotFallbackSeconds": 2, "wakeFallbackSeconds": 1}
    world.apply(spec("eu", capacity=capacity, disruption=QUICK_DRAIN))
    until_replicas(world, {ON_DEMAND: 0, SPOT: 1})
    probe = create_pod(world, "spot-1", SPOT)
    until_replicas(world, {ON_DEMAND: 1, SPOT: 1})
    server = create_pod(world, "ondemand-1", ON_DEMAND)
    world.until(lambda: node_of(world.api, server), "a node on demand")
    world.pod_ready(server)
    world.set_load("10.9.9.9", region="eu")
    world.settled("Awake", "eu")
    degraded = world.until_condition("Degraded", "SpotUnavailable")
    assert "pod spot-1 has no spot node since" in degraded["message"]
    assert "0/1 nodes are available" in degraded["message"], "what the scheduler says"
    world.until(lambda: region_status(world).get("message", "").startswith("0 spot, 1 on demand: "), "the reason")

    world.operator.kill()
    world.operator.start()
    world.until_quiet()
    assert replicas(world) == {ON_DEMAND: 1, SPOT: 1}, "a restarted operator keeps the fallback"

    node = add_node("eu", {"karpenter.sh/capacity-type": "spot"})
    world.until(lambda: node_of(world.api, probe) == node, "the probe finds the node")
    assert replicas(world) == {ON_DEMAND: 1, SPOT: 1}, "it is not ready yet"
    world.pod_ready(probe, "10.9.9.8")
    world.set_load("10.9.9.9", "10.9.9.8", region="eu")
    until_replicas(world, {ON_DEMAND: 0, SPOT: 1})
    world.delete_pod(server)
    world.set_load("10.9.9.8", region="eu")
    world.until(lambda: region_status(world).get("message") == "1 spot, 0 on demand", "the reason is gone")
    assert (region_status(world)["readyReplicas"], region_status(world)["spotReplicas"]) == (1, 1)
    world.until_condition("Degraded", "AsExpected")

    world.apply(spec("eu", capacity={"spot": "Never"}, disruption=QUICK_DRAIN))
    until_replicas(world, {ON_DEMAND: 1, SPOT: 1})
    world.pod_ready(create_pod(world, "ondemand-2", ON_DEMAND), "10.9.9.7")
    world.set_load("10.9.9.8", "10.9.9.7", region="eu")
    until_replicas(world, {ON_DEMAND: 1})


def say(world: World, pod: str, reason: str, source: str, message: str = "from a test") -> None:
    """Write an event on a pod, as a component's recorder does."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{pod}.{source}.{reason.lower()}", "namespace": world.namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": world.namespace},
        "reason": reason,
        "source": {"component": source},
        "message": message,
        "type": "Normal",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
    }
    world.api.request("POST", f"/api/v1/namespaces/{world.namespace}/events", body)


def test_what_autoscalers_say_reaches_the_operator_through_its_field_selector(world: World, add_node: AddNode) -> None:
    add_node("eu", {"karpenter.sh/capacity-type": "on-demand"})
    world.apply(spec("eu", capacity={"spot": "Preferred", "wakeFallbackSeconds": 1}))
    until_replicas(world, {ON_DEMAND: 0, SPOT: 1})
    # An event may come before its pod: from the first moment on nothing but a refusal ends the wait.
    say(world, "spot-1", "Nominated", "karpenter")
    create_pod(world, "spot-1", SPOT)
    world.until(lambda: "which karpenter adds" in region_status(world).get("message", ""), "the promise is known")
    say(world, "spot-1", "FailedScheduling", "default-scheduler")
    say(world, "spot-1", "Evicted", "karpenter")
    before = world.reconciles()
    world.api.request(
        "PATCH", world.resource_path(), {"metadata": {"annotations": {"x": "y"}}}, "application/merge-patch+json"
    )
    world.until_reconciled(before)
    assert replicas(world) == {ON_DEMAND: 0, SPOT: 1}
    say(world, "spot-1", "FailedScheduling", "karpenter", "no instance type has capacity")
    until_replicas(world, {ON_DEMAND: 1, SPOT: 1})
    degraded = world.until_condition("Degraded", "SpotUnavailable")
    assert "and karpenter adds none: no instance type has capacity" in degraded["message"]


def test_a_reclaim_is_recorded_with_the_deployment(world: World, add_node: AddNode) -> None:
    add_node("eu", {"karpenter.sh/capacity-type": "spot"})
    world.apply(spec("eu", capacity={"spot": "Preferred", "spotFallbackSeconds": 3600}))
    until_replicas(world, {ON_DEMAND: 0, SPOT: 1})
    pod = create_pod(world, "spot-1", SPOT)
    world.until(lambda: node_of(world.api, pod), "a node")
    world.pod_ready(pod)
    world.settled("Awake", "eu")
    conditions = world.api.get(pod)["status"]["conditions"]
    reclaimed = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    world.pod_status(pod, {"conditions": [*conditions, reclaimed]})
    spot = deployment_path(world, "eu", SPOT)
    annotation = "voxfleet.dev/spot-reclaimed-at"
    world.until(lambda: annotation in world.api.get(spot)["metadata"]["annotations"], "recorded")
    world.until_quiet()
    recorded = world.api.get(spot)["metadata"]["annotations"][annotation]
    world.operator.kill()
    world.operator.start()
    world.until_quiet()
    assert world.api.get(spot)["metadata"]["annotations"][annotation] == recorded


def test_a_malformed_affinity_is_refused_by_the_api_server_and_its_message_reaches_the_user(world: World) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Near", "values": ["a"]}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    world.apply(spec("eu", capacity={"spot": "Required"}, podTemplate={"affinity": affinity}))
    stalled = world.until_condition("Stalled", "ApplyFailed")
    assert "nodeSelectorTerms" in stalled["message"]
    assert "Near" in json.dumps(stalled)
