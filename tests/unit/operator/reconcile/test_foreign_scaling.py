"""The reconcile loop beside writers that scale its Deployments: they are set back, and named once."""

from typing import Any

from voxfleet_operator.kinds import resource_path
from voxfleet_operator.resources import Key

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

STATUS = f"{resource_path(Key('default', 'narrator'))}/status"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"


async def awake(loop: Loop) -> None:
    loop.create()
    await loop.reconcile()
    loop.renew()
    await loop.reconcile()
    loop.add_ready_pod()
    loop.report_idle()
    await loop.reconcile()


async def test_a_scaling_by_another_writer_is_set_back_and_reported_for_ten_minutes(loop: Loop) -> None:
    await awake(loop)
    deployment = loop.ref("Deployment").path
    owner = {"manager": "kubectl", "time": "2026-11-29T09:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    statuses = 0
    for replicas in (3, 0, 4):
        loop.now += 60
        loop.renew()
        loop.report_idle()
        scaled = {"spec": {"replicas": replicas}, "metadata": {"managedFields": [owner]}}
        loop.api.put(deployment, lambda found, change=scaled: [found[part].update(change[part]) for part in change])
        statuses += (await loop.writes_of()).count(STATUS)
        assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert statuses == 1, "one report for all attempts"
    assert loop.condition("Degraded") == ("True", "ScaledByOthers")
    (message,) = (each["message"] for each in loop.status()["conditions"] if each["type"] == "Degraded")
    assert "was scaled by field manager kubectl" in message
    loop.now += 600
    loop.renew()
    loop.report_idle()
    await loop.reconcile()
    assert loop.condition("Degraded") == ("False", "AsExpected")


def autoscaler(name: str, target: str, **metadata: Any) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {"metadata": {"name": name, **metadata}, "spec": {"scaleTargetRef": reference}}


async def scaled_by_an_autoscaler(loop: Loop, *found: dict[str, Any]) -> str:
    """Return what Degraded says after an HPA's writes, of which each is looked up at most once in ten minutes."""
    await awake(loop)
    if found:
        loop.api.objects[AUTOSCALERS] = {"items": list(found)}
    owner = {"manager": "kube-controller-manager", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    loop.api.requests.clear()
    for replicas in (3, 4, 5):
        loop.now += 15
        loop.renew()
        loop.report_idle()
        change = {"spec": {"replicas": replicas}, "metadata": {"managedFields": [owner]}}
        loop.api.put(
            loop.ref("Deployment").path,
            lambda body, change=change: [body[part].update(change[part]) for part in change],
        )
        await loop.reconcile()
        assert loop.object("Deployment")["spec"]["replicas"] == 1
    assert [path for method, path in loop.api.requests if method == "GET"] == [AUTOSCALERS]
    degraded = next(each for each in loop.status()["conditions"] if each["type"] == "Degraded")
    assert degraded["reason"] == "ScaledByOthers"
    return str(degraded["message"])


async def test_the_autoscaler_that_scales_a_deployment_is_named(loop: Loop) -> None:
    name = loop.ref("Deployment").name
    others = autoscaler("aa", "another-deployment"), autoscaler("bb", name)
    others[1]["spec"]["scaleTargetRef"]["kind"] = "StatefulSet"
    message = await scaled_by_an_autoscaler(loop, *others, autoscaler("theirs", name))
    assert f"Deployment {name} was scaled by HorizontalPodAutoscaler theirs and was set back" in message
    assert message.endswith("delete HorizontalPodAutoscaler theirs and set spec.autoscaling")


async def test_an_autoscaler_that_would_be_made_again_is_named_with_what_makes_it(loop: Loop) -> None:
    owners = [{"kind": "ScaledObject", "name": "narrator", "controller": True}]
    made = autoscaler("keda-hpa-narrator", loop.ref("Deployment").name, ownerReferences=owners)
    message = await scaled_by_an_autoscaler(loop, made)
    assert "by HorizontalPodAutoscaler keda-hpa-narrator, made by ScaledObject narrator, and" in message
    assert message.endswith("delete ScaledObject narrator and set spec.autoscaling")


async def test_an_autoscaler_that_cannot_be_looked_up_is_reported_by_its_field_manager(loop: Loop) -> None:
    message = await scaled_by_an_autoscaler(loop)
    assert "a HorizontalPodAutoscaler (field manager kube-controller-manager)" in message


async def test_another_field_manager_causes_no_look_up(loop: Loop) -> None:
    await awake(loop)
    owner = {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    loop.api.requests.clear()
    change = {"spec": {"replicas": 3}, "metadata": {"managedFields": [owner]}}
    loop.api.put(loop.ref("Deployment").path, lambda body: [body[part].update(change[part]) for part in change])
    await loop.reconcile()
    assert [path for method, path in loop.api.requests if method == "GET"] == []
