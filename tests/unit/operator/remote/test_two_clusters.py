"""A resource with regions in two clusters, both in memory: what is made where, and what is deleted by which rule."""

import copy
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.writing.object_writer import NameTakenError
from voxfleet_operator.cluster_reconciler import ClusterReconciler
from voxfleet_operator.decisions.remote.absence import Absence, not_served
from voxfleet_operator.decisions.remote.recorded import SecretKey
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.kinds import ObjectRef, Watch, resource_path
from voxfleet_operator.remote.outcomes import Part
from voxfleet_operator.remote.reconciler import RemoteReconciler
from voxfleet_operator.resources import KIND, Key
from voxfleet_operator.work_queue import WorkQueue

Loop = Any  # conftest.Loop

NARRATOR = Key("default", "narrator")
AP, NEW = SecretKey("default", "ap", "value"), SecretKey("default", "new", "value")
AWAY = not_served("https://ap.example.com", 0, "timed out", 1_795_000_000.0)


def region(name: str = "ap", kubeconfig: str = "ap") -> dict[str, Any]:
    return {"name": name, "gatewayURL": f"https://{name}.example.com", "kubeConfigSecretRef": {"name": kubeconfig}}


@dataclass
class World:
    """The home loop, and one remote cluster that every Secret leads to; `absences`: of Secrets."""

    loop: Loop
    absences: dict[SecretKey, Absence] = field(default_factory=dict)
    used: dict[Key, frozenset[SecretKey]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        loop, self.api = self.loop, type(self.loop.api)()
        self.parts: WorkQueue[Part] = WorkQueue(lambda: loop.now, jitter=lambda: 1.0)

        def enqueue(key: Key) -> None:
            for secret in self.used.get(key, frozenset()):
                self.parts.add(Part(key, secret))

        self.store = Store(enqueue, enqueue, 9091, lambda: loop.now, is_remote=True)
        self.observer = Observer(self.store, "demand")
        drainer = SimpleNamespace()
        cluster = Cluster(self.api, self.store, self.observer, "system", drainer, lambda: loop.now)
        remote = loop.reconciler.remote
        remote.clusters = self
        self.reconciler = RemoteReconciler(
            ClusterReconciler(cluster, remote.resources),
            loop.index,
            remote.outcomes,
            remote.installation,
            loop.queue.add,
            lambda: loop.now,
        )
        self.api.on_event = self._deliver

    def _deliver(self, _path: str, body: dict[str, Any], is_deleted: bool) -> None:  # noqa: FBT001 - as FakeApi calls it
        (self.store.on_delete if is_deleted else self.store.on_change)(Watch(body["kind"], "label"), body)

    def use(self, key: Key, secrets: frozenset[SecretKey]) -> None:
        self.used[key] = secrets

    def absence(self, secret: SecretKey) -> Absence | None:
        return self.absences.get(secret)

    def warning(self, _secret: SecretKey) -> Absence | None:
        return None

    def reconcile(self, key: Key, secret: SecretKey) -> None:
        self.parts.add(Part(key, secret))

    async def settle(self) -> None:
        """Work on both queues until they are empty; a part whose cluster is away waits."""
        for _ in range(50):
            if not len(self.loop.queue) and not len(self.parts):
                return
            if len(self.loop.queue):
                await self.loop.worker.process(await self.loop.queue.get())
            if len(self.parts):
                part = await self.parts.get()
                if part.secret not in self.absences:
                    await self.reconciler.reconcile(part)
                self.parts.done(part)
        raise AssertionError("the two clusters' reconciles call each other without end")

    def kinds(self) -> set[str]:
        return {body["kind"] for body in self.api.objects.values()}

    def object(self, kind: str, name: str = "ap") -> dict[str, Any]:
        found: dict[str, Any] = self.api.objects[self.loop.ref(kind, name).path]
        return found

    def delete_resource(self) -> None:
        """As the API server does it while there is a finalizer."""
        self.loop.api.put(resource_path(NARRATOR), lambda found: found["metadata"].update(deletionTimestamp="now"))

    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.loop.api.objects[resource_path(NARRATOR)]["metadata"]
        return found


@pytest.fixture
def world(loop: Loop) -> World:
    return World(loop)


async def made(world: World, *regions: dict[str, Any], **spec: Any) -> None:
    world.loop.create(regions=list(regions) or [{"name": "eu"}, region()], **spec)
    await world.settle()


def message(world: World, kind: str = "Degraded") -> str:
    found: str = next(each["message"] for each in world.loop.status()["conditions"] if each["type"] == kind)
    return found


async def test_nothing_is_made_remotely_before_the_region_is_recorded(world: World) -> None:
    world.loop.create(regions=[{"name": "eu"}, region()])
    await world.reconciler.reconcile(Part(NARRATOR, AP))
    assert world.api.objects == {}
    await world.loop.reconcile()
    paths = [path for method, path in world.loop.api.requests if method == "APPLY"]
    assert paths[0] == resource_path(NARRATOR)
    assert world.metadata()["finalizers"] == [names.FINALIZER]
    assert world.metadata()["annotations"][names.ANNOTATION_REMOTE_REGIONS] == "ap=ap/value"


async def test_each_cluster_has_its_own_regions_and_the_registry_of_all(world: World) -> None:
    await made(world)
    assert world.kinds() == {"Deployment", "Lease", "Service", "NetworkPolicy", "ConfigMap"}
    for body in world.api.objects.values():
        assert "ownerReferences" not in body["metadata"]
        assert body["metadata"]["labels"][names.LABEL_REMOTE] == "true"
        assert body["metadata"]["annotations"][names.ANNOTATION_KUBECONFIG] == "ap/value"
    assert world.loop.ref("Deployment", "ap").path not in world.loop.api.objects
    assert world.loop.ref("Deployment", "eu").path not in world.api.objects
    for of, here in ((world.api, "ap"), (world.loop.api, "eu")):
        entry = json.loads(of.objects[world.loop.ref("ConfigMap").path]["data"]["model.json"])
        assert {each["name"] for each in entry["regions"] if each["local"]} == {here}
    assert world.loop.condition("Ready") == ("True", "Asleep")
    assert world.loop.condition("Degraded") == ("False", "AsExpected")


async def test_a_pod_monitor_is_made_in_each_cluster_that_serves_the_kind(world: World) -> None:
    world.loop.store.served.add("PodMonitor")
    await made(world, monitoring={"podMonitor": True})
    assert world.loop.condition("Degraded") == ("True", "KindNotServed")
    assert "the cluster of ap/value does not serve PodMonitor" in message(world)
    assert "PodMonitor" in {body["kind"] for body in world.loop.api.objects.values()}
    world.store.served.add("PodMonitor")
    world.parts.add(Part(NARRATOR, AP))
    await world.settle()
    assert world.loop.condition("Degraded") == ("False", "AsExpected")
    (monitor,) = [body for body in world.api.objects.values() if body["kind"] == "PodMonitor"]
    assert monitor["metadata"]["annotations"][names.ANNOTATION_KUBECONFIG] == "ap/value"
    world.delete_resource()
    await world.settle()
    assert world.kinds() == set()


async def test_two_clusters_at_rest_send_nothing(world: World) -> None:
    await made(world)
    world.api.requests.clear()
    world.loop.api.requests.clear()
    world.loop.queue.add(NARRATOR)
    world.parts.add(Part(NARRATOR, AP))
    await world.settle()
    assert world.api.requests == world.loop.api.requests == []


async def test_a_wake_in_one_cluster_is_in_the_registry_of_the_other(world: World) -> None:
    await made(world)
    lease = world.loop.ref("Lease", "ap").path
    world.api.put(lease, lambda found: found["spec"].update(renewTime=to_rfc3339(world.loop.now)))
    await world.settle()
    assert world.object("Deployment")["spec"]["replicas"] == 1
    entry = json.loads(world.loop.object("ConfigMap")["data"]["model.json"])
    assert {each["name"]: each["phase"] for each in entry["regions"]} == {"eu": "Asleep", "ap": "Waking"}


async def test_an_absence_degrades_its_region_alone(world: World) -> None:
    await made(world)
    world.absences[AP] = AWAY
    world.loop.queue.add(NARRATOR)
    await world.settle()
    assert world.loop.condition("Degraded") == ("True", "ClusterUnreachable")
    assert world.loop.condition("Ready") == ("True", "Asleep")
    world.loop.renew("eu")
    await world.settle()
    assert world.loop.replicas("eu") == {"ondemand": 1}
    del world.absences[AP]
    world.loop.queue.add(NARRATOR)
    world.parts.add(Part(NARRATOR, AP))
    await world.settle()
    assert world.loop.condition("Degraded") == ("False", "AsExpected")


@pytest.mark.parametrize(("status", "ready"), [(0, ("True", "Asleep")), (500, ("False", "ClusterUnreachable"))])
async def test_a_cluster_that_is_lost_during_a_reconcile_keeps_what_it_has(
    world: World, status: int, ready: tuple[str, str]
) -> None:
    await made(world)
    deployment = world.loop.ref("Deployment", "ap").path
    world.api.put(deployment, lambda found: found["spec"].update(paused=True))  # drift, to be applied away
    world.api.failing[deployment] = KubernetesError(status, "connection refused")
    with pytest.raises(KubernetesError):
        await world.reconciler.reconcile(Part(NARRATOR, AP))
    world.absences[AP] = AWAY
    world.loop.queue.add(NARRATOR)
    await world.settle()
    assert world.loop.condition("Degraded")[0] == "True"
    assert world.loop.condition("Ready") == ready


async def test_a_change_that_an_absent_cluster_has_not_is_no_success(world: World) -> None:
    await made(world)
    world.absences[AP] = AWAY
    world.loop.change_spec(serving={"maxBatchSize": 8})
    await world.settle()
    assert world.loop.condition("Ready") == ("False", "ClusterUnreachable")
    assert world.loop.condition("Reconciling") == ("True", "ClusterUnreachable")
    assert world.loop.condition("Stalled") == ("False", "Settled")


async def test_a_cluster_that_was_never_reached_is_failed_and_not_stalled(world: World) -> None:
    world.absences[AP] = AWAY
    await made(world)
    phases = {each["name"]: each["phase"] for each in world.loop.status()["regions"]}
    assert phases == {"eu": "Asleep", "ap": "Failed"}
    assert world.loop.condition("Ready") == ("False", "ClusterUnreachable")
    assert world.loop.condition("Stalled") == ("False", "Settled")


async def test_a_refused_kubeconfig_is_stalled(world: World) -> None:
    world.absences[AP] = Absence("KubeconfigRefused", "user.exec is refused", is_lasting=True)
    await made(world)
    assert world.loop.condition("Stalled") == ("True", "KubeconfigRefused")
    assert "user.exec" in message(world)


async def test_a_deletion_cleans_up_and_takes_the_finalizer_off(world: World) -> None:
    await made(world)
    world.delete_resource()
    await world.settle()
    assert world.api.objects == {}
    assert not world.metadata().get("finalizers")
    assert not world.metadata().get("annotations")


async def test_a_deletion_leaves_what_another_resource_or_hub_has_made(world: World) -> None:
    await made(world)
    lease = world.loop.ref("Lease", "ap").path
    foreign = copy.deepcopy(world.api.objects[lease])
    foreign["metadata"]["annotations"][names.ANNOTATION_UID] = "of another hub"
    foreign["metadata"]["name"] = "other"
    path = lease.rpartition("/")[0] + "/other"
    world.api.objects[path] = foreign
    world.delete_resource()
    await world.settle()
    assert set(world.api.objects) == {path}


async def test_a_deletion_waits_for_an_absent_cluster_says_how_to_give_up_and_can_be_given_up(world: World) -> None:
    await made(world)
    world.absences[AP] = AWAY
    world.delete_resource()
    await world.settle()
    assert world.loop.condition("Ready") == ("False", "RemoteCleanup")
    assert "kubectl annotate vtts narrator -n default voxfleet.dev/abandon-remote=ap" in message(world, "Ready")
    assert world.loop.ref("Deployment", "eu").path not in world.loop.api.objects, "servers end at once"
    assert world.metadata()["finalizers"] == [names.FINALIZER]
    annotation = {names.ANNOTATION_ABANDON_REMOTE: "ap"}
    world.loop.api.put(resource_path(NARRATOR), lambda found: found["metadata"]["annotations"].update(annotation))
    await world.settle()
    assert not world.metadata().get("finalizers")
    assert world.api.objects


async def test_a_failed_cleanup_is_reported_and_tried_again(world: World) -> None:
    await made(world)
    path = world.loop.ref("Lease", "ap").path
    world.api.failing[path] = KubernetesError(500, "etcd is full")
    world.delete_resource()
    with pytest.raises(KubernetesError):
        await world.settle()
    await world.loop.reconcile()
    assert "etcd is full" in message(world, "Ready")
    world.api.failing.clear()
    await world.reconciler.reconcile(Part(NARRATOR, AP))
    await world.settle()
    assert world.api.objects == {}
    assert not world.metadata().get("finalizers")


async def test_a_region_that_leaves_is_cleaned_up_and_its_neighbour_stays(world: World) -> None:
    await made(world, {"name": "eu"}, region("ap"), region("us"))
    world.loop.change_spec(regions=[{"name": "eu"}, region("ap")])
    await world.settle()
    assert world.loop.ref("Deployment", "us").path not in world.api.objects
    assert world.loop.ref("Deployment", "ap").path in world.api.objects
    assert world.metadata()["annotations"][names.ANNOTATION_REMOTE_REGIONS] == "ap=ap/value"
    world.loop.change_spec(regions=[{"name": "eu"}])
    await world.settle()
    assert world.api.objects == {}
    assert not world.metadata().get("finalizers")


async def test_a_region_that_changes_its_secret_within_a_cluster_is_taken_over_and_not_deleted(world: World) -> None:
    await made(world)
    uid = world.object("Deployment")["metadata"]["uid"]
    world.loop.change_spec(regions=[{"name": "eu"}, region("ap", "new")])
    await world.settle()
    world.loop.now += 10
    world.parts.add(Part(NARRATOR, AP))
    await world.settle()
    deployment = world.object("Deployment")["metadata"]
    assert (deployment["uid"], deployment["annotations"][names.ANNOTATION_KUBECONFIG]) == (uid, "new/value")
    assert "DELETE" not in {method for method, _ in world.api.requests}
    assert world.metadata()["annotations"][names.ANNOTATION_REMOTE_REGIONS] == "ap=new/value"


async def test_two_secrets_that_lead_to_one_cluster_are_a_name_taken_and_no_endless_change(world: World) -> None:
    world.loop.create(regions=[region("ap"), region("us", "new")])
    for _ in range(3):
        with pytest.raises(NameTakenError, match="use one Secret for all regions"):
            await world.settle()
        world.parts.requeue_processing()
    writes = len(world.api.writes)
    with pytest.raises(NameTakenError):
        await world.settle()
    assert len(world.api.writes) == writes, "no second writer"


async def test_an_object_of_the_name_that_was_not_made_for_the_region_is_left_alone(world: World) -> None:
    path = world.loop.ref("ConfigMap").path
    reference = ObjectRef("ConfigMap", "system", path.rpartition("/")[2])
    metadata = {"namespace": "system", "name": reference.name, "uid": "x", "resourceVersion": "1", "labels": {}}
    world.api.objects[path] = {"kind": "ConfigMap", "metadata": metadata, "data": {"theirs": "1"}}
    world.loop.create(regions=[{"name": "eu"}, region()])
    with pytest.raises(NameTakenError, match="was not made for this resource"):
        await world.settle()
    assert world.api.objects[path]["data"] == {"theirs": "1"}


async def test_a_paused_resource_changes_nothing_remotely(world: World) -> None:
    await made(world)
    annotations = {**world.metadata()["annotations"], names.ANNOTATION_RECONCILE: "paused"}
    world.loop.api.put(resource_path(NARRATOR), lambda found: found["metadata"].update(annotations=annotations))
    world.api.remove(world.loop.ref("Deployment", "ap").path)
    await world.settle()
    assert world.loop.ref("Deployment", "ap").path not in world.api.objects


async def test_a_resource_without_remote_regions_has_no_finalizer(world: World) -> None:
    await made(world, {"name": "eu"})
    assert "finalizers" not in world.metadata()
    assert KIND in {body.get("kind") for body in world.loop.api.objects.values()}


async def test_a_remote_regions_own_deadline_does_not_bring_the_resource_back_at_once(world: World) -> None:
    await made(world, autoscaling={"wakeTimeoutSeconds": 60})
    lease = world.loop.ref("Lease", "ap").path
    world.api.put(lease, lambda found: found["spec"].update(renewTime=to_rfc3339(world.loop.now)))
    await world.settle()
    world.loop.now += 3600
    requeue_at = await world.loop.reconcile()
    assert requeue_at is None or requeue_at > world.loop.now


async def test_a_record_that_cannot_be_written_keeps_the_home_region_going(world: World) -> None:
    """As with an operator that is newer than the chart's grants."""
    world.loop.api.failing[resource_path(NARRATOR)] = KubernetesError(403, "may not patch voxttsdeployments")
    await made(world)
    assert world.loop.ref("Deployment", "eu").path in world.loop.api.objects
    assert world.api.objects == {}
    assert world.loop.condition("Ready") == ("False", "ApplyFailed")
    assert "may not patch" in message(world, "Ready")
