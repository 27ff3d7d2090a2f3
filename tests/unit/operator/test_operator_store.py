"""What is seen: small values, the newest version only, and the right resource called."""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.cluster.kinds import Watch
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.resources import Key, read_resource

NARRATOR = Key("default", "narrator")
LEASES = Watch("Lease", "x", "demand")
PODS = Watch("Pod", "x")
DEPLOYMENTS = Watch("Deployment", "x")
SLICES = Watch("EndpointSlice", "x", "system")
NOW = 1_795_000_000.0
RENEWED = "2026-11-18T10:26:40.000000Z"


def store() -> tuple[Store, list[Key], list[Key]]:
    called: list[Key] = []
    first: list[Key] = []
    return Store(called.append, first.append, 9091, clock=lambda: NOW), called, first


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


def test_a_lease_event_calls_first_and_a_listing_does_not() -> None:
    seen, called, first = store()
    seen.replace(LEASES, [body("lease", 1, "demand")])
    assert (called, first) == ([NARRATOR], [])
    seen.changed(LEASES, body("lease", 2, "demand", spec={"renewTime": RENEWED}))
    assert first == [NARRATOR]
    assert seen.leases["lease"].renewed_at == 1_794_997_600.0


def test_an_older_version_is_no_news() -> None:
    seen, _, _ = store()
    seen.applied("Deployment", body("d", 9, spec={"replicas": 1}))
    seen.changed(DEPLOYMENTS, body("d", 8, spec={"replicas": 0}))
    assert seen.workloads["default", "d"].replicas == 1
    assert seen.awake_keys() == {NARRATOR}


def test_what_a_new_listing_lacks_is_gone() -> None:
    seen, called, _ = store()
    seen.replace(PODS, [pod("a", 1, Ready="True"), pod("b", 2)])
    called.clear()
    seen.replace(PODS, [pod("b", 2)])
    assert [found.name for found in seen.region_pods(NARRATOR, "eu")] == ["b"]
    assert NARRATOR in called


def test_a_removed_object_belongs_to_nobody() -> None:
    seen, _, _ = store()
    seen.changed(LEASES, body("lease", 1, "demand"))
    assert seen.refs_of(NARRATOR, ["Lease"]) == [("Lease", "demand", "lease")]
    seen.removed(LEASES, body("lease", 1, "demand"))
    assert seen.refs_of(NARRATOR, ["Lease"]) == []
    assert seen.leases == {}


def test_a_label_does_not_carry_a_pod_into_another_namespace() -> None:
    seen, _, _ = store()
    seen.changed(PODS, {**pod("p", 1), "metadata": {**pod("p", 1)["metadata"], "namespace": "stranger"}})
    assert seen.region_pods(NARRATOR, "eu") == ()


def test_milestones_are_receipt_times_when_seen_from_birth() -> None:
    seen, _, _ = store()
    seen.changed(PODS, pod("a", 1))
    seen.changed(PODS, pod("a", 2, PodScheduled="True"))
    seen.changed(PODS, pod("a", 3, PodScheduled="True", Ready="True"))
    found = seen.region_pods(NARRATOR, "eu")[0]
    assert found.is_watched_from_creation
    assert (found.scheduled_at, found.ready_at) == (NOW, NOW)
    seen.changed(PODS, pod("a", 4, PodScheduled="True", Ready="False"))
    assert not seen.region_pods(NARRATOR, "eu")[0].is_ready


def test_after_a_start_milestones_are_what_kubernetes_wrote() -> None:
    seen, _, _ = store()
    seen.replace(PODS, [pod("a", 1, Ready="True")])
    found = seen.region_pods(NARRATOR, "eu")[0]
    assert found.is_watched_from_creation is False
    assert found.ready_at is not None
    assert found.ready_at < NOW


def test_a_clock_that_runs_ahead_is_judged_once_per_renewal() -> None:
    seen, _, _ = store()
    ahead = {"renewTime": "2026-11-18T23:00:00.000000Z"}
    seen.changed(LEASES, body("lease", 1, "demand", spec=ahead))
    seen.clock = lambda: NOW + 100
    seen.changed(LEASES, body("lease", 2, "demand", spec=ahead))
    assert seen.leases["lease"].is_clock_ahead
    assert seen.leases["lease"].renewed_at == NOW


def test_a_broken_watch_of_leases_is_remembered() -> None:
    seen, _, _ = store()
    seen.broken(PODS)
    assert seen.lease_watch_broken_at is None
    seen.broken(LEASES)
    assert seen.is_lease_watch_broken
    seen.replace(LEASES, [])
    assert [seen.is_lease_watch_broken, seen.lease_watch_broken_at] == [False, NOW]


def test_gateways_are_the_ready_ends_of_all_slices() -> None:
    seen, _, _ = store()
    ends = [
        {"addresses": ["10.1.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.1.0.2"], "conditions": {"ready": False}},
    ]
    seen.changed(SLICES, body("s", 1, "system", endpoints=ends, ports=[{"name": "http", "port": 6006}]))
    assert {(gateway.address, gateway.port) for gateway in seen.gateways} == {("10.1.0.1", 9091)}
    seen.removed(SLICES, body("s", 1, "system"))
    assert seen.gateways == frozenset()


def resource(name: str, created_at: str, model: str = "shared") -> Any:
    metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": created_at}
    return read_resource({"metadata": metadata, "spec": {"model": {"name": model}, "regions": [{"name": "eu"}]}})


def test_the_oldest_owns_the_model_name_and_namesakes_hear_of_changes() -> None:
    seen, called, _ = store()
    seen.put_resource(resource("younger", "2026-11-02T00:00:00Z"))
    seen.put_resource(resource("older", "2026-11-01T00:00:00Z"))
    assert seen.owner_of_model_name("shared") == Key("default", "older")
    assert called.count(Key("default", "younger")) == 2
    called.clear()
    seen.remove_resource(Key("default", "older"))
    assert seen.owner_of_model_name("shared") == Key("default", "younger")
    assert set(called) == {Key("default", "older"), Key("default", "younger")}
