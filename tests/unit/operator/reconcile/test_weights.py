"""The reconcile loop around weights in a claim; controllers and kubelets are played by the tests."""

import copy
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.kinds import ObjectRef

Loop = Any
Body = dict[str, Any]

CACHE = {"weights": {"type": "PersistentVolumeClaim"}}
MODEL = {"source": "hf://org/voice"}


async def created(loop: Loop, *regions: str) -> None:
    loop.create(*regions, cache=CACHE, model=MODEL)
    await loop.reconcile()
    await loop.reconcile()  # the Job follows its claim


async def serving(loop: Loop) -> None:
    """Awake with fetched weights and one ready server."""
    await created(loop)
    end(loop, job_of(loop), "Complete")
    loop.renew()
    await loop.reconcile()
    loop.add_ready_pod()
    loop.report_idle()
    await loop.reconcile()


def of_kind(loop: Loop, kind: str) -> list[Body]:
    return [body for body in loop.api.objects.values() if body.get("kind") == kind]


def job_of(loop: Loop, revision: str = "main") -> Body:
    found = [job for job in of_kind(loop, "Job") if revision in arguments(job)]
    return max(found, key=lambda job: str(job["metadata"]["annotations"][names.ANNOTATION_ATTEMPT]))


def arguments(job: Body) -> list[str]:
    made: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return made


def end(loop: Loop, job: Body, kind: str) -> None:
    condition = {"type": kind, "status": "True", "message": "ended", "lastTransitionTime": to_rfc3339(loop.now)}
    path = ObjectRef("Job", "default", job["metadata"]["name"]).path
    loop.api.put(path, lambda found: found.update(status={"conditions": [condition]}))


def template(loop: Loop) -> Body:
    made: Body = copy.deepcopy(loop.object("Deployment")["spec"]["template"])
    return made


async def test_a_job_fills_each_regions_claim_before_the_first_wake(loop: Loop) -> None:
    await created(loop, "eu", "us")
    assert (len(of_kind(loop, "PersistentVolumeClaim")), len(of_kind(loop, "Job"))) == (2, 2)
    assert loop.condition("Ready") == ("True", "Asleep")
    loop.renew()
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 0
    assert loop.status()["regions"][0]["phase"] == "Waking"
    for job in of_kind(loop, "Job"):
        end(loop, job, "Complete")
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert loop.object("Deployment", "us")["spec"]["replicas"] == 0
    assert loop.object("Deployment")["spec"]["template"]["spec"]["initContainers"] == []
    assert len(of_kind(loop, "Job")) == 2


async def test_a_second_reconcile_sends_nothing_whatever_the_state(loop: Loop) -> None:
    await created(loop)
    assert await loop.writes_of(reconciles=2) == []
    end(loop, job_of(loop), "Failed")
    await loop.reconcile()
    loop.api.requests.clear()
    await loop.reconcile()
    assert loop.api.requests == []


async def test_a_failed_fetch_is_tried_again_after_the_back_off_by_one_job_alone(loop: Loop) -> None:
    await created(loop)
    first = job_of(loop)
    end(loop, first, "Failed")
    due = await loop.reconcile()
    assert loop.condition("Ready") == ("False", "WeightsNotFetched")
    assert due == loop.now + 60
    loop.now += 59
    assert [path for path in await loop.writes_of() if "jobs" in path] == []
    loop.now += 2
    await loop.reconcile()
    (second,) = of_kind(loop, "Job")
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert second["metadata"]["annotations"][names.ANNOTATION_ATTEMPT] == "2"


async def test_another_revision_keeps_the_template_and_the_records_until_it_is_fetched(loop: Loop) -> None:
    await serving(loop)
    before = template(loop)
    loop.change_spec(model={**MODEL, "revision": "v2"})
    await loop.reconcile()
    assert template(loop) == before
    assert len(of_kind(loop, "Job")) == 2
    assert loop.condition("Verified")[0] == "Unknown", "the new generation runs nowhere"
    end(loop, job_of(loop, "v2"), "Failed")
    await loop.reconcile()
    assert loop.condition("Degraded") == ("True", "WeightsNotFetched")
    assert loop.condition("Ready") == ("True", "Serving")
    loop.now += 61
    loop.renew()
    await loop.reconcile()
    assert template(loop) == before
    end(loop, job_of(loop, "v2"), "Complete")
    await loop.reconcile()
    assert "v2" in str(template(loop)["spec"])
    assert len(of_kind(loop, "Job")) == 1
    loop.report_idle()
    await loop.reconcile()
    assert loop.condition("Degraded")[0] == "False"


async def test_a_claim_that_was_deleted_is_made_and_filled_again(loop: Loop) -> None:
    await created(loop)
    job = job_of(loop)
    end(loop, job, "Complete")
    await loop.reconcile()
    (claim,) = of_kind(loop, "PersistentVolumeClaim")
    path = ObjectRef("PersistentVolumeClaim", "default", claim["metadata"]["name"]).path
    loop.api.remove(path)
    await loop.reconcile()
    loop.api.put(path, lambda found: found["metadata"].update(uid="another uid"))
    await loop.reconcile()
    loop.renew()
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 0
    (again,) = [each for each in of_kind(loop, "Job") if each["metadata"]["name"] != job["metadata"]["name"]]
    end(loop, again, "Complete")
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert len(of_kind(loop, "Job")) == 1


async def test_a_cache_that_is_no_longer_asked_for_goes(loop: Loop) -> None:
    await created(loop)
    end(loop, job_of(loop), "Complete")
    await loop.reconcile()
    loop.change_spec(cache={})
    await loop.reconcile()
    assert of_kind(loop, "Job") == of_kind(loop, "PersistentVolumeClaim") == []
    assert loop.object("Deployment")["spec"]["template"]["spec"]["initContainers"]


CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOICE = "/api/v1/namespaces/default/persistentvolumeclaims/voice"


def degraded(loop: Loop) -> tuple[str, str]:
    found = next(each for each in loop.status()["conditions"] if each["type"] == "Degraded")
    return found["reason"], found.get("message", "")


async def test_a_storage_class_that_does_not_exist_is_named_with_those_that_do(loop: Loop) -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    loop.api.objects[CLASSES] = {
        "items": [{"metadata": {"name": "slow", "annotations": default}}, {"metadata": {"name": "fast"}}]
    }
    loop.create(cache={"weights": CACHE["weights"] | {"storageClassName": "fats"}}, model=MODEL)
    await loop.reconcile()
    await loop.reconcile()
    loop.now += 11
    assert await loop.reconcile() == loop.now + 4
    assert loop.condition("Ready") == ("True", "Asleep"), "a volume of an administrator needs no class"
    loop.now += 4
    due = await loop.reconcile()
    assert due == loop.now + 60
    assert loop.condition("Ready") == ("False", "ClaimNotBound")
    message = loop.status()["regions"][0]["message"]
    assert "cache.weights.storageClassName fats" in message
    assert "the cluster has no storage class fats; it has fast, slow (default)" in message
    asked = [path for method, path in loop.api.requests if path == CLASSES and method == "GET"]
    assert len(asked) == 1
    loop.api.objects[CLASSES]["items"].append({"metadata": {"name": "fats"}})
    loop.now += 60
    await loop.reconcile()
    assert "storage class" not in loop.status()["regions"][0]["message"]
    (claim,) = of_kind(loop, "PersistentVolumeClaim")
    path = ObjectRef("PersistentVolumeClaim", "default", claim["metadata"]["name"]).path
    loop.api.put(path, lambda found: found.update(status={"phase": "Bound"}))
    loop.now += 600
    loop.api.requests.clear()
    await loop.reconcile()
    assert CLASSES not in [path for _, path in loop.api.requests], "a claim with a volume asks nothing"


async def test_a_claim_of_the_user_that_one_node_can_mount_is_reported_until_it_is_replaced(loop: Loop) -> None:
    for given in (
        {"cache": {"weights": CACHE["weights"] | {"claimName": "voice"}}, "model": MODEL},
        {"model": {"source": "pvc://voice/en"}},
    ):
        fresh = type(loop)()
        fresh.api.objects[VOICE] = {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {}}
        fresh.create("eu", autoscaling={"maxReplicas": 3}, **given)
        await fresh.reconcile()
        due = await fresh.reconcile()
        reason, message = degraded(fresh)
        assert reason == "ClaimNotShared"
        assert message.startswith(("cache.weights.claimName voice: ", "model.source pvc://voice/en: "))
        assert due is not None
        assert due <= fresh.now + 60
        fresh.now += 60
        fresh.api.objects[VOICE]["status"] = {"accessModes": ["ReadWriteMany"]}
        await fresh.reconcile()
        await fresh.reconcile()
        assert degraded(fresh)[0] == "AsExpected"


async def test_a_claim_of_the_user_that_does_not_exist_is_reported_and_one_for_one_server_is_not(loop: Loop) -> None:
    loop.create(autoscaling={"maxReplicas": 1}, model={"source": "pvc://voice/en"})
    await loop.reconcile()
    assert degraded(loop) == (
        "ClaimNotBound",
        "model.source pvc://voice/en: there is no claim voice in this namespace; create it",
    )
    loop.api.objects[VOICE] = {"spec": {"accessModes": ["ReadWriteOnce"]}}
    loop.now += 60
    await loop.reconcile()
    assert degraded(loop)[0] == "AsExpected"
    loop.api.requests.clear()
    for _ in range(5):
        loop.now += 5
        await loop.reconcile()
    assert [path for method, path in loop.api.requests if method == "GET"] == []


async def test_a_deleted_record_stops_no_server(loop: Loop) -> None:
    await serving(loop)
    loop.api.remove(ObjectRef("Job", "default", job_of(loop)["metadata"]["name"]).path)
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert len(of_kind(loop, "Job")) == 1, "it finds the weights there, and downloads nothing"
