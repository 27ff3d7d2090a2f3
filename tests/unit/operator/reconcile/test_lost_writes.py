"""A failed wake and its fallback, with writes that are lost, a process that dies, and a status that is cleared."""

import copy
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.writing.rollouts import replica_sets_path
from voxfleet_operator.kinds import ObjectRef, resource_path
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Key

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

RESOURCE = resource_path(Key("default", "narrator"))
STATUS = f"{RESOURCE}/status"
BAD = {"name": "inference", "state": {"waiting": {"reason": "InvalidImageName", "message": "no such: bad"}}}
POOLS = {"Never": ("ondemand",), "Preferred": ("ondemand", "spot")}


def image(loop: Loop, pool: str) -> str:
    found: str = loop.object("Deployment", pool=pool)["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def pods(loop: Loop) -> list[str]:
    return [body["metadata"]["name"] for body in loop.api.objects.values() if body.get("kind") == "Pod"]


def remove_pods(loop: Loop) -> None:
    for name in pods(loop):
        loop.remove_pod(name)


async def asleep_with_proven_templates(loop: Loop, spot: str) -> None:
    """Every pool has had a ready server; the region is at zero."""
    base = {"onDemandBase": 1} if spot == "Preferred" else {}
    loop.create(capacity={"spot": spot, **base}, autoscaling={"minReplicas": 2})
    await loop.reconcile()
    for pool in POOLS[spot]:
        loop.add_ready_pod(f"good-{pool}", pool=pool)
    loop.report_idle()
    await loop.reconcile()
    for pool in POOLS[spot]:
        deployment = loop.object("Deployment", pool=pool)
        template, uid = copy.deepcopy(deployment["spec"]["template"]), deployment["metadata"]["uid"]
        path = replica_sets_path(Manifest(loop.ref("Deployment", pool=pool), {"spec": deployment["spec"]}))
        owned = {"metadata": {"ownerReferences": [{"uid": uid}]}, "spec": {"template": template}}
        loop.api.objects[path] = {"items": [owned]}
    loop.change_spec(suspend=True)
    await loop.reconcile()
    remove_pods(loop)
    loop.now += 60
    await loop.reconcile()


async def failing(loop: Loop, spot: str) -> None:
    """Woken with an image that does not exist; the next reconcile sees it."""
    await asleep_with_proven_templates(loop, spot)
    loop.change_spec(suspend=False, image="bad")
    loop.renew()
    await loop.reconcile()
    loop.now += 10
    for pool in POOLS[spot]:
        assert image(loop, pool) == "bad"
        loop.add_pod(f"bad-{pool}", pool=pool)
        scheduled = [{"type": "PodScheduled", "status": "True"}]
        status = {"phase": "Pending", "conditions": scheduled, "containerStatuses": [BAD]}
        loop.set_pod_status(f"bad-{pool}", status)


async def recovers(loop: Loop, spot: str) -> None:
    """Reconcile until it is settled, playing the ReplicaSets: the region serves by the templates that worked."""
    for _ in range(4):
        loop.now += 1
        await loop.reconcile()
        if sum(loop.replicas().values()) == 0:
            remove_pods(loop)
    for pool in POOLS[spot]:
        assert image(loop, pool) == "image", pool
    assert sum(loop.replicas().values()) == 2
    for pool, count in loop.replicas().items():
        for number in range(count):
            loop.add_ready_pod(f"again-{pool}-{number}", pool=pool)
    loop.report_idle()
    await loop.reconcile()
    assert loop.condition("Degraded") == ("True", "FellBack")
    assert loop.status()["regions"][0]["failure"]["count"] == 1, "one wake has failed"


async def writes_of_the_failure(spot: str, loop: Loop) -> list[str]:
    await failing(loop, spot)
    return list(await loop.writes_of())


@pytest.mark.parametrize("restarts", [False, True], ids=["goes-on", "restarts"])
@pytest.mark.parametrize("spot", POOLS)
async def test_any_lost_write_leaves_the_way_to_the_fallback_open(loop: Loop, spot: str, restarts: bool) -> None:  # noqa: FBT001 - a parameter of the test
    writes = await writes_of_the_failure(spot, type(loop)())
    assert writes[-1] == STATUS
    assert len(writes) >= 3
    for lost in dict.fromkeys(writes):
        fresh = type(loop)()
        await failing(fresh, spot)
        fresh.api.failing[lost] = KubernetesError(500, "lost")
        with pytest.raises(KubernetesError):
            await fresh.reconcile()
        fresh.api.failing.clear()
        if restarts:
            fresh.restart(fresh.reconciler.installation)
        await recovers(fresh, spot)


@pytest.mark.parametrize("spot", POOLS)
async def test_a_process_that_dies_between_two_writes_is_followed_by_one_that_falls_back(loop: Loop, spot: str) -> None:
    writes = await writes_of_the_failure(spot, type(loop)())
    for done in range(len(writes)):
        fresh = type(loop)()
        await failing(fresh, spot)
        fresh.api.failing = {path: KubernetesError(0, "died") for path in writes[done:]}
        with pytest.raises(KubernetesError):
            await fresh.reconcile()
        fresh.api.failing.clear()
        fresh.restart(fresh.reconciler.installation)
        await recovers(fresh, spot)


def clear_status(loop: Loop) -> None:
    loop.api.put(RESOURCE, lambda found: found.pop("status", None))


@pytest.mark.parametrize("spot", POOLS)
async def test_a_status_that_is_cleared_before_or_after_the_failure_is_rebuilt(loop: Loop, spot: str) -> None:
    for is_after in (False, True):
        fresh = type(loop)()
        await failing(fresh, spot)
        if is_after:
            await fresh.reconcile()
        clear_status(fresh)
        fresh.restart(fresh.reconciler.installation)
        await recovers(fresh, spot)
        assert fresh.status()["regions"][0]["provenTemplates"].keys() == set(POOLS[spot])


async def test_a_status_that_is_cleared_keeps_the_back_off(loop: Loop) -> None:
    loop.create(image="bad")
    await loop.reconcile()
    loop.renew()
    await loop.reconcile()
    loop.now += 10
    loop.add_pod("bad")
    scheduled = [{"type": "PodScheduled", "status": "True"}]
    loop.set_pod_status("bad", {"phase": "Pending", "conditions": scheduled, "containerStatuses": [BAD]})
    await loop.reconcile()
    remove_pods(loop)
    failure = loop.status()["regions"][0]["failure"]
    clear_status(loop)
    loop.restart(loop.reconciler.installation)
    loop.now += 30
    loop.renew()
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 0}, "the next wake may begin after a minute"
    assert loop.status()["regions"][0]["failure"] == failure
    loop.now += 31
    loop.renew()
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 1}


async def test_a_failure_that_another_writer_has_mangled_is_none(loop: Loop) -> None:
    loop.create()
    await loop.reconcile()

    def mangle(found: dict[str, Any]) -> None:
        found["metadata"]["annotations"][names.ANNOTATION_FAILURE] = '{"reason": 7'

    loop.api.put(loop.ref("Deployment").path, mangle)
    await loop.reconcile()
    assert loop.condition("Ready") == ("True", "Asleep")
    assert names.ANNOTATION_FAILURE not in loop.api.applied[loop.ref("Deployment").path]["metadata"]["annotations"]


async def test_a_status_that_is_cleared_while_the_only_server_is_replaced_fails_no_wake(loop: Loop) -> None:
    """The time of a wake counts from the request; this region has served for hours."""
    loop.create(autoscaling={"minReplicas": 1})
    await loop.reconcile()
    loop.add_ready_pod()
    loop.report_idle()
    await loop.reconcile()
    loop.now += 7200
    loop.report_idle()
    await loop.reconcile()
    loop.remove_pod("pod-1")
    loop.add_pod("pod-2")
    clear_status(loop)
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 1}
    assert loop.status()["regions"][0]["phase"] == "Waking"
    assert ObjectRef("Pod", "default", "pod-2").path in loop.api.objects
