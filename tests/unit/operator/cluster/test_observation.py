"""What is observed of a region: the Deployments of all its pools, and the pods of each."""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.cluster.lookups.cluster_facts import ClusterFacts
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.kinds import ObjectRef, Watch
from voxfleet_operator.resources import Key, read_resource

NARRATOR = Key("default", "narrator")
NOW = 1_795_000_000.0


def object_of(pool: str, name: str, **components: Any) -> dict[str, Any]:
    labels = names.pool_labels("default", "narrator", "eu", pool)
    metadata = {"namespace": "default", "name": name, "uid": name, "resourceVersion": "1", "labels": labels}
    return {"metadata": metadata, **components}


def test_the_deployments_of_both_pools_are_one_regions() -> None:
    store = Store(lambda _key: None, lambda _key: None, 9091, clock=lambda: NOW)
    for pool, replicas in (("ondemand", 1), ("spot", 3)):
        name = names.workload_name("narrator", "eu", pool)
        store.on_applied("Deployment", object_of(pool, name, spec={"replicas": replicas}))
        store.on_applied("Pod", object_of(pool, f"pod-{pool}"))
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "creationTimestamp": "2026-11-23T20:00:00Z"}
    resource = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}]}})
    seen = Observer(store, "demand").observe(resource, NOW).regions["eu"]
    assert [(workload.pool, workload.replicas) for workload in seen.workloads] == [("ondemand", 1), ("spot", 3)]
    assert seen.replicas == 4
    assert [(pod.name, pod.pool) for pod in seen.pods] == [("pod-ondemand", "ondemand"), ("pod-spot", "spot")]
    spot = ObjectRef("Deployment", "default", names.workload_name("narrator", "eu", "spot"))
    assert [pod.name for pod in store.pods_of_deployment(spot)] == ["pod-spot"]


ITN = "aws-node-termination-handler/spot-itn"


def node(version: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "uid": "n1", "resourceVersion": version}, "spec": spec}


def test_the_pods_of_a_leaving_node_leave_until_its_taint_is_taken_off() -> None:
    enqueued: list[Key] = []
    store = Store(enqueued.append, lambda _key: None, 9091, clock=lambda: NOW)
    nodes = Watch("Node", "")
    store.on_list(nodes, [node("1")])
    store.on_applied("Pod", object_of("spot", "pod-1", spec={"nodeName": "n1"}))
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "creationTimestamp": "2026-11-23T20:00:00Z"}
    resource = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}]}})
    observer = Observer(store, "demand")

    def reason(now: float = NOW) -> str:
        (pod,) = observer.observe(resource, now).regions["eu"].pods
        return pod.leaving.reason if pod.leaving else ""

    assert reason() == ""
    enqueued.clear()
    store.on_change(nodes, node("2", taints=[{"key": ITN, "effect": "NoSchedule"}]))
    assert enqueued == [NARRATOR]
    assert reason() == f"node n1: EC2 reclaims the spot instance ({ITN})"
    assert observer.observe(resource, NOW).regions["eu"].local.spot_reclaimed_at == NOW
    store.on_change(nodes, node("3", taints=[{"key": ITN, "effect": "NoSchedule"}]))
    assert enqueued == [NARRATOR], "a heartbeat decides nothing"
    store.on_change(nodes, node("4"))
    assert (reason(), enqueued) == ("", [NARRATOR, NARRATOR])
    store.on_list(nodes, [])
    assert reason(NOW + 60) == "its node does not exist any more"
    assert enqueued == [NARRATOR] * 3


def test_what_was_looked_up_counts_for_the_observation_that_it_was_given_to() -> None:
    store = Store(lambda _key: None, lambda _key: None, 9091, clock=lambda: NOW)
    spec = {"regions": [{"name": "eu"}], "model": {"source": "oci://registry.example.com/voice:1"}}
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "creationTimestamp": "2026-11-23T20:00:00Z"}
    resource, observer = read_resource({"metadata": metadata, "spec": spec}), Observer(store, "demand")
    refused = observer.observe(resource, NOW, ClusterFacts(has_image_volumes=False)).regions["eu"].weights.refusal
    assert refused is not None
    assert refused[0] == "ImageVolumesNotServed"
    assert observer.observe(resource, NOW).regions["eu"].weights.refusal is None
