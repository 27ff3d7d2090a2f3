"""The reconcile loop on an in-memory API server: what is written, in which order, and what a failure leaves behind."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.writing.object_writer import NameTakenError
from voxfleet_operator.cluster.writing.rollouts import replica_sets_path
from voxfleet_operator.decisions.observed import WorkloadState
from voxfleet_operator.kinds import NOTEBOOK_INGRESS, NOTEBOOK_POLICY, TABLE, ObjectRef, Watch, resource_path
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Key

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

NARRATOR = Key("default", "narrator")
STATUS = f"{resource_path(NARRATOR)}/status"
FRONT = ObjectRef("Service", "default", "narrator")


async def asleep(loop: Loop, *regions: str, **spec: Any) -> None:
    loop.create(*regions, **spec)
    await loop.reconcile()


async def awake(loop: Loop, **spec: Any) -> None:
    await asleep(loop, **spec)
    loop.renew()
    await loop.reconcile()
    loop.add_ready_pod()
    loop.report_idle()
    await loop.reconcile()


async def test_the_first_reconcile_creates_every_object_at_zero_replicas(loop: Loop) -> None:
    loop.create("eu", cache={"weights": {"type": "PersistentVolumeClaim"}, "prePullImage": True})
    await loop.reconcile()
    await loop.reconcile()  # the Job's name depends on the claim's uid
    kinds = {body["kind"] for body in loop.api.objects.values()}
    applied = {kind.name for kind in TABLE if kind.is_applied}
    unasked = {"PodDisruptionBudget", "Ingress", "HTTPRoute", "ReferenceGrant", "PodMonitor", "StatefulSet"}
    assert kinds == applied - unasked - {NOTEBOOK_INGRESS, NOTEBOOK_POLICY} | {"VoxTTSDeployment"}
    assert loop.object("Deployment")["spec"]["replicas"] == 0
    assert loop.condition("Ready") == ("True", "Asleep")


async def test_a_second_reconcile_sends_nothing(loop: Loop) -> None:
    await asleep(loop, "eu", "us")
    loop.api.requests.clear()
    await loop.reconcile()
    assert loop.api.requests == []


async def test_each_object_of_one_region_is_written_once_and_the_status_too(loop: Loop) -> None:
    loop.create()
    writes = await loop.writes_of()
    assert sorted(writes[:-1]) == sorted(loop.api.objects.keys() - {resource_path(NARRATOR)})
    assert writes[-1] == STATUS


async def test_a_renewal_wakes_and_the_deployment_is_written_first(loop: Loop) -> None:
    await asleep(loop)
    loop.renew()
    writes = await loop.writes_of()
    assert writes == [loop.ref("Deployment").path, loop.ref("ConfigMap").path, STATUS]
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert loop.status()["regions"][0]["phase"] == "Waking"


async def test_a_renewal_by_a_gateway_is_not_overwritten(loop: Loop) -> None:
    await awake(loop)
    loop.now += 10
    loop.renew()
    assert loop.ref("Lease").path not in await loop.writes_of()
    assert loop.object("Lease")["spec"]["holderIdentity"] == "gw-0"


async def test_after_the_idle_timeout_the_lease_is_marked_and_the_next_reconcile_goes_to_zero(loop: Loop) -> None:
    await awake(loop, autoscaling={"idleTimeoutSeconds": 60})
    loop.now += 61
    loop.report_idle()
    assert await loop.writes_of() == [loop.ref("Lease").path]
    assert "voxfleet.dev/asleep-since" in loop.object("Lease")["metadata"]["annotations"]
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert await loop.writes_of() == [], "no reading is newer than the mark"
    loop.now += 5
    loop.report_idle()
    writes = await loop.writes_of()
    steps = [loop.ref(kind).path for kind in ("ConfigMap", "Lease", "Deployment")]
    assert writes == [*steps, STATUS], "gateways learn it first, and the Lease is checked directly before the apply"
    assert loop.object("Deployment")["spec"]["replicas"] == 0
    assert loop.status()["regions"][0]["phase"] == "Draining"


async def test_an_evicted_pod_does_not_keep_a_region_draining(loop: Loop) -> None:
    """No controller deletes a Failed pod: neither the ReplicaSet nor, for days, the pod garbage collector."""
    await awake(loop, autoscaling={"idleTimeoutSeconds": 60})
    loop.set_pod_status("pod-1", {"phase": "Failed", "reason": "Evicted"})
    loop.add_ready_pod("pod-2")
    loop.now += 61
    for _ in range(2):
        loop.now += 1
        loop.report_idle()
        await loop.reconcile()
    loop.api.remove(ObjectRef("Pod", "default", "pod-2").path)
    await loop.reconcile()
    assert loop.status()["regions"][0]["phase"] == "Asleep"
    assert loop.condition("Reconciling") == ("False", "Settled")


async def test_a_renewal_after_the_decision_to_go_to_zero_keeps_the_servers(loop: Loop) -> None:
    """A request falls into the time between the mark and the apply: nothing has delivered its renewal yet."""
    await awake(loop, autoscaling={"idleTimeoutSeconds": 60})
    loop.now += 61
    loop.report_idle()
    await loop.reconcile()
    loop.now += 5
    loop.report_idle()
    deliver, delayed = loop.api.on_event, []
    loop.api.on_event = lambda *event: delayed.append(event)
    loop.renew()
    assert await loop.reconcile() == loop.now + 5, "the event of the renewal decides again before"
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert loop.status()["regions"][0]["phase"] == "Awake"
    loop.api.on_event = deliver
    for event in delayed:
        deliver(*event)
    await loop.writes_of(2)
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert loop.status()["regions"][0]["phase"] == "Awake"
    assert "voxfleet.dev/asleep-since" not in loop.object("Lease")["metadata"]["annotations"]


async def test_a_time_without_readings_is_no_time_without_demand(loop: Loop) -> None:
    await awake(loop, autoscaling={"idleTimeoutSeconds": 3600, "minReplicas": 4})
    loop.change_spec(autoscaling={"idleTimeoutSeconds": 3600})
    loop.report_silence()
    for _ in range(61):
        loop.now += 5
        await loop.reconcile()
    loop.report_idle()
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 4, "305 s of silence, then one reading of 0"
    for _ in range(61):
        loop.now += 5
        loop.report_idle()
        await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 1


async def test_a_conflict_on_the_mark_keeps_the_region_awake(loop: Loop) -> None:
    """The Lease is renewed after the decision's observation: the event has not arrived when the mark is sent."""
    await awake(loop, autoscaling={"idleTimeoutSeconds": 60})
    loop.now += 61
    loop.report_idle()
    deliver, delayed = loop.api.on_event, []
    loop.api.on_event = lambda *event: delayed.append(event)
    loop.renew()
    await loop.reconcile()
    assert "voxfleet.dev/asleep-since" not in loop.object("Lease")["metadata"]["annotations"]
    assert loop.condition("Ready") == ("True", "Serving"), "a conflict is no failure"
    loop.api.on_event = deliver
    for event in delayed:
        deliver(*event)
    assert await loop.writes_of(2) == [STATUS], "awakeUntil is new; nothing is marked again"
    assert loop.object("Deployment")["spec"]["replicas"] == 1


async def test_a_failing_write_keeps_no_other_object_and_becomes_a_condition(loop: Loop) -> None:
    loop.create()
    loop.api.failing[FRONT.path] = KubernetesError(500, "etcd is slow")
    with pytest.raises(KubernetesError, match="etcd is slow"):
        await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 0
    assert loop.condition("Ready") == ("False", "ApplyFailed")
    assert loop.condition("Reconciling") == ("True", "ApplyFailed")
    assert loop.condition("Stalled") == ("False", "Settled")
    loop.api.failing.clear()
    assert await loop.writes_of() == [FRONT.path, STATUS], "only what is missing is sent again"
    assert loop.condition("Ready") == ("True", "Asleep")


async def test_an_error_that_lasts_five_minutes_is_stalled_and_ends_with_the_first_success(loop: Loop) -> None:
    loop.create()
    loop.api.failing[FRONT.path] = KubernetesError(0, "API server not reached")
    for waited_seconds, stalled in ((0, "False"), (299, "False"), (1, "True")):
        loop.now += waited_seconds
        with pytest.raises(KubernetesError):
            await loop.reconcile()
        assert loop.condition("Stalled")[0] == stalled
    assert loop.condition("Reconciling") == ("False", "Settled")
    loop.api.failing.clear()
    await loop.reconcile()
    assert loop.condition("Ready") == ("True", "Asleep")
    loop.api.failing[FRONT.path] = KubernetesError(500, "etcd is slow")
    loop.api.remove(FRONT.path)
    with pytest.raises(KubernetesError):
        await loop.reconcile()
    assert loop.condition("Stalled")[0] == "False", "it counts from the first error after a success"


async def test_a_failing_status_write_is_raised_and_sent_again(loop: Loop) -> None:
    loop.create()
    loop.api.failing[STATUS] = KubernetesError(0, "API server not reached")
    with pytest.raises(KubernetesError, match="not reached"):
        await loop.reconcile()
    loop.api.failing.clear()
    assert await loop.writes_of() == [STATUS]


async def test_an_object_of_another_owner_is_left_alone(loop: Loop) -> None:
    metadata = {"namespace": "default", "name": "narrator", "uid": "other", "resourceVersion": "1"}
    loop.api.objects[FRONT.path] = {"kind": "Service", "metadata": metadata, "spec": {"externalName": "example.com"}}
    loop.create()
    with pytest.raises(NameTakenError, match="Service default/narrator"):
        await loop.reconcile()
    assert loop.api.objects[FRONT.path]["spec"] == {"externalName": "example.com"}
    assert loop.condition("Stalled") == ("True", "NameTaken")


async def test_a_foreign_change_is_reverted(loop: Loop) -> None:
    await asleep(loop)
    loop.api.put(FRONT.path, lambda found: found["spec"].update(externalName="other.example.com"))
    assert await loop.writes_of() == [FRONT.path]
    assert loop.api.objects[FRONT.path]["spec"]["externalName"] == "gateway.system.svc"


async def test_a_field_that_another_manager_writes_is_no_drift(loop: Loop) -> None:
    await asleep(loop)
    revision = {"deployment.kubernetes.io/revision": "1"}
    loop.api.put(
        loop.ref("Deployment").path, lambda found: found["metadata"].setdefault("annotations", {}).update(revision)
    )
    assert await loop.writes_of() == []


async def test_a_generation_is_verified_by_a_ready_pod_of_its_template(loop: Loop) -> None:
    await awake(loop)
    assert loop.condition("Verified") == ("True", "WakeSucceeded")
    loop.change_spec(image="localhost/does-not-exist:1")
    await loop.writes_of(3)
    assert loop.status()["observedGeneration"] == 2
    assert loop.condition("Verified") == ("Unknown", "NotYetWoken"), "the ready pod runs the earlier image"
    loop.add_ready_pod("pod-2")
    await loop.reconcile()
    assert loop.condition("Verified") == ("True", "WakeSucceeded")


async def test_a_change_that_leaves_the_template_as_it_is_needs_no_new_pod(loop: Loop) -> None:
    await awake(loop)
    loop.change_spec(autoscaling={"idleTimeoutSeconds": 77})
    await loop.writes_of(2)
    assert loop.condition("Verified") == ("True", "WakeSucceeded")
    assert loop.status()["observedGeneration"] == 2


def images(loop: Loop, *regions: str) -> list[str]:
    templates = [loop.object("Deployment", region)["spec"]["template"] for region in regions]
    return [template["spec"]["containers"][0]["image"] for template in templates]


async def test_a_new_default_image_rolls_two_deployments_at_a_time(loop: Loop) -> None:
    regions = ("ap", "eu", "sa", "us")
    await asleep(loop, *regions)
    for region in regions[:3]:
        loop.renew(region)
    await loop.reconcile()
    for region in regions[:3]:
        loop.add_ready_pod(f"old-{region}", region)
    await loop.reconcile()
    pod_settings = replace(loop.reconciler.installation.pod, image="image:2")
    loop.restart(replace(loop.reconciler.installation, pod=pod_settings))
    await loop.writes_of(3)
    assert images(loop, *regions) == ["image:2", "image:2", "image", "image:2"], "us is asleep"
    assert await loop.writes_of() == []
    loop.add_ready_pod("new-ap", "ap")
    await loop.writes_of(2)
    assert images(loop, "sa") == ["image"], "ap has not ended its old pod yet"
    loop.api.remove(ObjectRef("Pod", "default", "old-ap").path)
    await loop.writes_of(2)
    assert images(loop, "sa") == ["image:2"]


async def test_a_waiting_deployment_is_kept_as_it_is_until_the_spec_changes(loop: Loop) -> None:
    await awake(loop)
    loop.cluster.rollouts.running = {ObjectRef("Deployment", "other", name) for name in ("a", "b")}
    for ref in loop.cluster.rollouts.running:
        loop.store.states[ref] = WorkloadState(1)
    pod_settings = replace(loop.reconciler.installation.pod, image="image:2")
    loop.reconciler.installation = replace(loop.reconciler.installation, pod=pod_settings)
    await loop.reconcile()
    assert images(loop, "eu") == ["image"]
    foreign = {"containers": [{"name": "inference", "image": "foreign"}]}
    loop.api.put(loop.ref("Deployment").path, lambda found: found["spec"]["template"]["spec"].update(foreign))
    await loop.reconcile()
    assert images(loop, "eu") == ["image"], "reverted to the template that it keeps"
    loop.change_spec(serving={"maxBatchSize": 7})
    await loop.reconcile()
    assert images(loop, "eu") == ["image:2"], "the user's change is applied at once"
    assert loop.cluster.rollouts.kept == {}


async def test_replace_keeps_the_only_server_until_another_region_serves(loop: Loop) -> None:
    await asleep(loop, "eu", "us", rollout={"strategy": "Replace"})
    loop.renew("eu")
    await loop.reconcile()
    loop.add_ready_pod("old-eu", "eu")
    await loop.reconcile()
    loop.change_spec(image="image:2")
    await loop.writes_of(2)
    assert images(loop, "eu", "us") == ["image", "image:2"], "us is asleep, so nothing is lost there"
    assert loop.condition("Degraded") == ("True", "RolloutWaiting")
    assert loop.condition("Verified") == ("Unknown", "NotYetWoken"), "only the old template runs"
    assert await loop.writes_of() == []
    loop.renew("us")
    await loop.reconcile()
    assert images(loop, "eu") == ["image"], "us does not serve yet"
    loop.add_ready_pod("new-us", "us")
    await loop.writes_of(2)
    assert images(loop, "eu") == ["image:2"]
    assert loop.condition("Verified") == ("True", "WakeSucceeded")
    assert loop.condition("Degraded")[1] != "RolloutWaiting"


async def test_without_the_template_that_worked_a_failed_wake_fails_with_back_off(loop: Loop) -> None:
    await awake(loop)
    loop.change_spec(suspend=True)
    await loop.reconcile()
    loop.api.remove(ObjectRef("Pod", "default", "pod-1").path)
    loop.change_spec(suspend=False, image="bad")
    loop.renew()
    await loop.reconcile()
    selector = loop.object("Deployment")["spec"]["selector"]
    path = replica_sets_path(Manifest(loop.ref("Deployment"), {"spec": {"selector": selector}}))
    loop.api.objects[path] = {"items": []}
    waiting = {"name": "inference", "state": {"waiting": {"reason": "InvalidImageName", "message": "no such: bad"}}}
    for number in range(2):
        loop.add_ready_pod(f"bad-{number}")
        loop.set_pod_status(f"bad-{number}", {"phase": "Pending", "containerStatuses": [waiting]})
        await loop.reconcile()
        loop.api.remove(ObjectRef("Pod", "default", f"bad-{number}").path)
        await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 0
    assert loop.condition("Stalled") == ("True", "ImageNotFound")


async def test_two_regions_with_replace_roll_one_after_the_other(loop: Loop) -> None:
    await asleep(loop, "eu", "us", rollout={"strategy": "Replace"})
    for region in ("eu", "us"):
        loop.renew(region)
        await loop.reconcile()
        loop.add_ready_pod(f"old-{region}", region)
    await loop.reconcile()
    loop.change_spec(image="image:2")
    await loop.writes_of(3)
    assert images(loop, "eu", "us") == ["image:2", "image"]
    loop.add_ready_pod("new-eu", "eu")
    await loop.writes_of(2)
    assert images(loop, "us") == ["image"], "eu still ends its old server"
    loop.api.remove(ObjectRef("Pod", "default", "old-eu").path)
    await loop.writes_of(2)
    assert images(loop, "us") == ["image:2"]


async def test_a_wake_that_fails_falls_back_to_the_replica_sets_template(loop: Loop) -> None:
    await awake(loop)
    worked = copy.deepcopy(loop.object("Deployment")["spec"]["template"])
    assert loop.status()["regions"][0]["provenTemplates"] == {
        "ondemand": worked["metadata"]["annotations"]["voxfleet.dev/template"]
    }
    loop.change_spec(suspend=True)
    await loop.reconcile()
    loop.api.remove(ObjectRef("Pod", "default", "pod-1").path)
    loop.change_spec(suspend=False, image="bad")
    loop.renew()
    await loop.reconcile()
    assert images(loop, "eu") == ["bad"]
    loop.add_ready_pod("pod-2")
    waiting = {"name": "inference", "state": {"waiting": {"reason": "InvalidImageName", "message": "no such: bad"}}}
    loop.set_pod_status("pod-2", {"phase": "Pending", "containerStatuses": [waiting]})
    copied = {"metadata": {**worked["metadata"], "labels": {**worked["metadata"]["labels"], "pod-template-hash": "7"}}}
    uid = loop.object("Deployment")["metadata"]["uid"]
    owned = {"metadata": {"ownerReferences": [{"uid": uid}]}, "spec": {"template": worked | copied}}
    foreign = {"metadata": {}, "spec": {"template": worked | {"spec": {"containers": [{"image": "foreign"}]}}}}
    selector = loop.object("Deployment")["spec"]["selector"]
    path = replica_sets_path(Manifest(loop.ref("Deployment"), {"spec": {"selector": selector}}))
    loop.api.objects[path] = {"items": [foreign, owned]}
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 0, "the failed server may hold the only GPU"
    loop.api.remove(ObjectRef("Pod", "default", "pod-2").path)
    await loop.reconcile()
    assert (images(loop, "eu"), loop.object("Deployment")["spec"]["replicas"]) == (["image"], 1)
    assert loop.object("Deployment")["spec"]["template"] == worked
    loop.add_ready_pod("pod-3")
    await loop.reconcile()
    assert loop.condition("Degraded") == ("True", "FellBack")
    assert loop.condition("Verified") == ("False", "ImageNotFound")
    assert "no such: bad" in loop.status()["message"]
    assert await loop.writes_of(2) == []
    loop.change_spec(image="image:3")
    await loop.reconcile()
    assert images(loop, "eu") == ["image:3"]
    assert loop.condition("Degraded")[1] != "FellBack"


async def test_a_region_that_left_the_spec_is_deleted_after_the_registry_was_written(loop: Loop) -> None:
    await asleep(loop, "eu", "us")
    loop.change_spec(regions=[{"name": "eu"}])
    writes = await loop.writes_of()
    gone = [loop.ref(kind, "us").path for kind in ("Deployment", "Lease", "Service")]
    assert writes == [loop.ref("ConfigMap").path, loop.ref("Deployment").path, *gone, STATUS]
    assert not any(path in loop.api.objects for path in gone)
    assert await loop.writes_of() == []


async def test_a_region_is_not_deleted_before_the_registry_says_so(loop: Loop) -> None:
    await asleep(loop, "eu", "us")
    loop.change_spec(regions=[{"name": "eu"}])
    loop.api.failing[loop.ref("ConfigMap").path] = KubernetesError(500, "etcd is slow")
    with pytest.raises(KubernetesError):
        await loop.reconcile()
    assert loop.ref("Deployment", "us").path in loop.api.objects


async def test_the_unowned_objects_of_a_deleted_resource_are_deleted(loop: Loop) -> None:
    await asleep(loop, "eu", "us")
    loop.api.remove(resource_path(NARRATOR))
    orphans = [loop.ref("ConfigMap").path, loop.ref("Lease", "eu").path, loop.ref("Lease", "us").path]
    assert sorted(await loop.writes_of()) == sorted(orphans)
    assert await loop.writes_of() == []


async def test_nothing_is_created_for_a_resource_that_was_deleted_meanwhile(loop: Loop) -> None:
    loop.create()
    del loop.api.objects[resource_path(NARRATOR)]  # its event has not arrived yet
    assert await loop.writes_of() == []
    assert loop.index.resources == {}


async def test_paused_writes_a_condition_and_nothing_else(loop: Loop) -> None:
    loop.create(annotations={"voxfleet.dev/reconcile": "paused"})
    assert await loop.writes_of() == [STATUS]
    assert loop.condition("Reconciling") == ("False", "Paused")
    assert await loop.writes_of() == []


async def test_the_next_reconcile_is_due_at_the_wake_timeout(loop: Loop) -> None:
    await asleep(loop, autoscaling={"wakeTimeoutSeconds": 100})
    assert await loop.reconcile() is None, "asleep: nothing is due"
    loop.renew()
    assert await loop.reconcile() == loop.now + 100


async def test_image_volumes_are_asked_for_once_and_only_where_needed(loop: Loop) -> None:
    await asleep(loop)
    assert loop.api.dry_runs == []
    loop.change_spec(model={"source": "oci://registry/voice:1"})
    for _ in range(3):
        await loop.reconcile()
    assert len(loop.api.dry_runs) == 1
    assert loop.condition("Ready") == ("False", "ImageVolumesNotServed")
    loop.now += 601
    loop.api.serves_image_volumes = True
    await loop.reconcile()
    assert loop.condition("Ready") == ("True", "Asleep")


async def test_a_disruption_budget_exists_while_a_region_has_more_than_one_replica(loop: Loop) -> None:
    await awake(loop, autoscaling={"minReplicas": 2}, disruption={"maxUnavailable": 3})
    budget = ObjectRef("PodDisruptionBudget", "default", loop.ref("Service").name).path
    assert loop.api.objects[budget]["spec"]["maxUnavailable"] == 3
    loop.change_spec(suspend=True)
    await loop.reconcile()
    assert budget not in loop.api.objects


async def test_a_pod_whose_node_leaves_is_replaced_and_drained_by_its_own_token(loop: Loop) -> None:
    await awake(loop)
    pod = ObjectRef("Pod", "default", "pod-1").path
    metadata = {"name": "n1", "uid": "n1", "resourceVersion": "9"}
    taints = [{"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule"}]
    loop.api.objects[pod]["spec"] = {"nodeName": "n1"}
    loop.store.on_change(Watch("Node", ""), {"metadata": metadata, "spec": {"taints": taints}})
    loop.set_pod_status("pod-1", {**loop.api.objects[pod]["status"], "message": "changed"})
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 2, "asked for while the pod lives"
    assert "voxfleet.dev/retiring-since" in loop.api.objects[pod]["metadata"]["annotations"]
    loop.now += 10  # messages alone are written at most once in ten seconds
    await loop.reconcile()
    assert loop.drained == [(NARRATOR, "10.9.9.9", True)]
    assert "EC2 reclaims the spot instance" in loop.status()["regions"][0]["message"]
    loop.api.remove(pod)
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 1, "its replacement is the one replica"
    assert loop.status()["regions"][0]["desiredReplicas"] == 1
