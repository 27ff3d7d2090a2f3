"""The store keeps the newest version of each object and enqueues the resource concerned."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator import names
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.capacity.leaving import Outage
from voxfleet_operator.decisions.observed import LeaseState, PodState, WorkloadState
from voxfleet_operator.kinds import ObjectRef, Watch
from voxfleet_operator.resources import Key

NARRATOR = Key("default", "narrator")
LEASES = Watch("Lease", "x", "demand")
PODS = Watch("Pod", "x")
DEPLOYMENTS = Watch("Deployment", "x")
NODES = Watch("Node", "x")
SLICES = Watch("EndpointSlice", "x", "system")
LEASE = ObjectRef("Lease", "demand", "lease")
NOW = 1_795_000_000.0
RENEWED = "2026-11-18T10:26:40.000000Z"


def store() -> tuple[Store, list[Key], list[Key]]:
    enqueued: list[Key] = []
    first: list[Key] = []
    return Store(enqueued.append, first.append, 9091, clock=lambda: NOW), enqueued, first


def lease(seen: Store) -> LeaseState:
    found = seen.state(LEASE, LeaseState)
    assert found is not None
    return found


def body(name: str, version: int, namespace: str = "default", **components: Any) -> dict[str, Any]:
    labels = names.regional_labels("default", "narrator", "eu")
    metadata = {"name": name, "namespace": namespace, "uid": f"u-{name}", "resourceVersion": str(version)}
    return {"metadata": {**metadata, "labels": labels}, "spec": {}, **components}


def pod(name: str, version: int, **conditions: str) -> dict[str, Any]:
    listed = [
        {"type": kind, "status": status, "lastTransitionTime": "2026-11-18T10:00:00Z"}
        for kind, status in conditions.items()
    ]
    return body(name, version, status={"phase": "Running", "podIP": "10.0.0.1", "conditions": listed})


def test_a_lease_event_enqueues_first_and_a_listing_does_not() -> None:
    seen, enqueued, first = store()
    seen.on_list(LEASES, [body("lease", 1, "demand")])
    assert (enqueued, first) == ([NARRATOR], [])
    seen.on_change(LEASES, body("lease", 2, "demand", spec={"renewTime": RENEWED}))
    assert first == [NARRATOR]
    assert lease(seen).renewed_at == 1_794_997_600.0


def test_an_older_version_is_ignored() -> None:
    seen, _, _ = store()
    seen.on_applied("Deployment", body("d", 9, spec={"replicas": 1}))
    seen.on_change(DEPLOYMENTS, body("d", 8, spec={"replicas": 0}))
    workload = seen.state(ObjectRef("Deployment", "default", "d"), WorkloadState)
    assert workload is not None
    assert workload.replicas == 1
    assert seen.awake_keys() == {NARRATOR}


def test_an_object_absent_from_a_new_listing_is_dropped() -> None:
    seen, enqueued, _ = store()
    seen.on_list(PODS, [pod("a", 1, Ready="True"), pod("b", 2)])
    enqueued.clear()
    seen.on_list(PODS, [pod("b", 2)])
    assert [found.name for found in seen.region_pods(NARRATOR, "eu")] == ["b"]
    assert NARRATOR in enqueued


def test_a_deleted_object_belongs_to_no_resource() -> None:
    seen, _, _ = store()
    seen.on_change(LEASES, body("lease", 1, "demand"))
    assert seen.refs_of(NARRATOR, ["Lease"]) == [LEASE]
    seen.on_delete(LEASES, body("lease", 1, "demand"))
    assert seen.refs_of(NARRATOR, ["Lease"]) == []
    assert seen.state(LEASE, LeaseState) is None


def test_a_label_does_not_carry_a_pod_into_another_namespace() -> None:
    seen, _, _ = store()
    seen.on_change(PODS, {**pod("p", 1), "metadata": {**pod("p", 1)["metadata"], "namespace": "another"}})
    assert seen.region_pods(NARRATOR, "eu") == ()


def test_milestones_are_times_of_receipt_when_watched_from_creation() -> None:
    seen, _, _ = store()
    seen.on_change(PODS, pod("a", 1))
    seen.on_change(PODS, pod("a", 2, PodScheduled="True"))
    seen.on_change(PODS, pod("a", 3, PodScheduled="True", Ready="True"))
    found = seen.region_pods(NARRATOR, "eu")[0]
    assert found.is_watched_from_creation
    assert (found.scheduled_at, found.ready_at) == (NOW, NOW)
    seen.on_change(PODS, pod("a", 4, PodScheduled="True", Ready="False"))
    assert not seen.region_pods(NARRATOR, "eu")[0].is_ready


def test_milestones_of_a_listing_are_those_that_kubernetes_wrote() -> None:
    seen, _, _ = store()
    seen.on_list(PODS, [pod("a", 1, Ready="True")])
    found = seen.region_pods(NARRATOR, "eu")[0]
    assert found.is_watched_from_creation is False
    assert found.ready_at is not None
    assert found.ready_at < NOW


def test_a_clock_ahead_is_clamped_once_per_renewal() -> None:
    seen, _, _ = store()
    ahead = {"renewTime": "2026-11-18T23:00:00.000000Z"}
    seen.on_change(LEASES, body("lease", 1, "demand", spec=ahead))
    seen.clock = lambda: NOW + 100
    seen.on_change(LEASES, body("lease", 2, "demand", spec=ahead))
    assert lease(seen).is_clock_ahead
    assert lease(seen).renewed_at == NOW


def test_an_outage_of_the_watch_of_nodes_is_recorded_and_ends_with_a_listing() -> None:
    seen, enqueued, _ = store()
    node = {"metadata": {"name": "n1", "uid": "u-n1", "resourceVersion": "1"}, "spec": {}}
    seen.on_list(NODES, [node])
    assert seen.node_outage == Outage(0.0, NOW), "nothing was read before"
    seen.on_list(PODS, [{**pod("a", 1), "spec": {"nodeName": "n1"}}])
    seen.on_broken(PODS)
    assert seen.node_outage == Outage(0.0, NOW)
    seen.on_broken(NODES)
    seen.clock = lambda: NOW + 60
    seen.on_broken(NODES)
    assert seen.node_outage == Outage(NOW), "it began with the first attempt that failed"
    enqueued.clear()
    seen.on_list(NODES, [node])
    assert seen.node_outage == Outage(NOW, NOW + 60)
    assert enqueued == [NARRATOR], "the node counts again"


def test_a_broken_watch_of_leases_is_recorded() -> None:
    seen, _, _ = store()
    seen.on_broken(PODS)
    assert seen.lease_watch_broken_at is None
    seen.on_broken(LEASES)
    assert seen.is_lease_watch_broken
    seen.on_list(LEASES, [])
    assert [seen.is_lease_watch_broken, seen.lease_watch_broken_at] == [False, NOW]


def test_gateways_are_the_ready_endpoints_of_all_slices() -> None:
    seen, _, _ = store()
    ends = [
        {"addresses": ["10.1.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.1.0.2"], "conditions": {"ready": False}},
    ]
    seen.on_change(SLICES, body("s", 1, "system", endpoints=ends, ports=[{"name": "http", "port": 6006}]))
    assert {(gateway.address, gateway.port) for gateway in seen.gateways} == {("10.1.0.1", 9091)}
    seen.on_delete(SLICES, body("s", 1, "system"))
    assert seen.gateways == frozenset()


changes = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), st.sampled_from("pq"), st.sampled_from(["n1", "n2", ""])),
        st.tuples(st.just("deleted"), st.sampled_from("pq"), st.just("")),
        st.tuples(st.just("listed"), st.sampled_from("pq"), st.sampled_from(["n1", "n2"])),
    ),
    max_size=20,
)


@given(changes)
def test_property_the_index_by_node_is_what_a_search_would_find(steps: list[tuple[str, str, str]]) -> None:
    seen, _, _ = store()
    for version, (what, name, value) in enumerate(steps, 1):
        of_pod = {**pod(name, version), "spec": {"nodeName": value} if value else {}}
        if what == "pod":
            # A pod's node is chosen once; another one of the same name comes after its deletion.
            seen.on_delete(PODS, of_pod)
            seen.on_change(PODS, of_pod)
        elif what == "deleted":
            seen.on_delete(PODS, of_pod)
        else:
            seen.on_list(PODS, [])
            seen.on_list(PODS, [of_pod])
    pods = {ref: state.node for ref, state in seen.states.items() if isinstance(state, PodState) and state.node}
    nodes = set(pods.values())
    assert seen.pods_on == {node: {ref for ref, on in pods.items() if on == node} for node in nodes}
