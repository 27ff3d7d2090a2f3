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


async def test_a_deleted_record_stops_no_server(loop: Loop) -> None:
    await serving(loop)
    loop.api.remove(ObjectRef("Job", "default", job_of(loop)["metadata"]["name"]).path)
    await loop.reconcile()
    assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert len(of_kind(loop, "Job")) == 1, "it finds the weights there, and downloads nothing"
