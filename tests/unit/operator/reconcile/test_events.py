"""Events on the reconcile loop: with each status that is written, and at no other time."""

from typing import Any

from voxfleet_operator.cluster.api import FORBIDDEN, KubernetesError

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any


async def events(loop: Loop) -> list[tuple[str, str, int]]:
    """Send what is queued; return type, reason and count of every Event that exists."""
    await loop.reconciler.events.recorder.flush()
    found = [body for body in loop.api.objects.values() if body.get("kind") == "Event"]
    return [(body["type"], body["reason"], body["count"]) for body in found]


async def message(loop: Loop, reason: str) -> str:
    await events(loop)
    found = [body["message"] for body in loop.api.objects.values() if body.get("reason") == reason]
    assert len(found) == 1, found
    return str(found[0])


async def settle(loop: Loop) -> None:
    for _ in range(4):
        await loop.reconcile()


async def test_a_wake_and_a_sleep_are_three_events(loop: Loop) -> None:
    loop.create(autoscaling={"idleTimeoutSeconds": 600})
    await settle(loop)
    assert await events(loop) == [], "a resource that begins to exist, asleep"
    loop.renew()
    await settle(loop)
    assert await message(loop, "Waking") == "region eu: waking on demand: the Lease was renewed by gw-0"
    loop.now += 4
    loop.add_ready_pod()
    await settle(loop)
    assert (await message(loop, "Awake")).startswith("region eu: awake after 4.00 s; slowest first: ")
    loop.now += 601
    for _ in range(6):
        loop.now += 5
        loop.report_idle()
        await loop.reconcile()
    loop.remove_pod("pod-1")
    await settle(loop)
    assert "asleep, idle since 2026-" in await message(loop, "Asleep")
    assert await events(loop) == [("Normal", "Waking", 1), ("Normal", "Awake", 1), ("Normal", "Asleep", 1)]


async def test_at_rest_nothing_is_sent_and_a_restart_repeats_nothing(loop: Loop) -> None:
    loop.create(autoscaling={"minReplicas": 1})
    await settle(loop)
    loop.add_ready_pod()
    await settle(loop)
    before = await events(loop)
    assert before == [("Normal", "Waking", 1), ("Normal", "Awake", 1), ("Normal", "Serving", 1)]
    for _ in range(5):
        loop.now += 60
        loop.report_idle()
        await loop.reconcile()
    assert await events(loop) == before
    loop.restart(loop.reconciler.installation)
    loop.report_idle()
    loop.now += 11
    await settle(loop)
    loop.api.requests.clear()
    assert await events(loop) == before
    assert loop.api.requests == []


async def test_a_watch_that_is_behind_doubles_nothing(loop: Loop) -> None:
    key = loop.create()
    await settle(loop)
    behind = loop.index.resources[key]
    loop.renew()
    await settle(loop)
    before = await events(loop)
    loop.now += 20
    loop.index.resources[key] = behind
    written = [path for path in await loop.writes_of(4) if path.endswith("/status")]
    assert written, "the older status differs from what is written now"
    assert await events(loop) == before == [("Normal", "Waking", 1)]


async def test_a_failed_wake_names_the_way_out(loop: Loop) -> None:
    loop.create(autoscaling={"wakeTimeoutSeconds": 60})
    await settle(loop)
    loop.renew()
    await settle(loop)
    loop.add_pod("pod-1")
    loop.now += 61
    await settle(loop)
    text = await message(loop, "WakeTimeout")
    assert "node(s) didn't match Pod's node affinity" in text
    assert "Ready is False; tried again on demand from" in text
    assert text.endswith("Runbook: VoxFleetRegionFailed.")
    assert ("Warning", "WakeTimeout", 1) in await events(loop)


async def test_a_problem_that_comes_and_goes(loop: Loop) -> None:
    loop.create()
    await settle(loop)
    path = loop.ref("Service").path
    loop.api.failing[path] = KubernetesError(FORBIDDEN, "services is forbidden")
    loop.change_spec(aliases=["other"])
    loop.api.remove(path)
    try:
        await loop.reconcile()
    except KubernetesError:
        loop.api.failing.clear()
    await settle(loop)
    found = await events(loop)
    assert found[0] == ("Warning", "ApplyFailed", 1)
    assert "services is forbidden" in await message(loop, "ApplyFailed")
    assert "Ready is True again after ApplyFailed" in await message(loop, "Asleep")


async def test_a_reclaimed_spot_node_is_reported_once(loop: Loop) -> None:
    loop.create(capacity={"spot": "Preferred"}, autoscaling={"minReplicas": 1})
    await settle(loop)
    loop.add_ready_pod("spot-1", pool="spot")
    await settle(loop)
    loop.now += 30
    evicted = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    path = next(path for path in loop.api.objects if path.endswith("/pods/spot-1"))
    loop.api.put(path, lambda found: found["status"]["conditions"].append(evicted))
    for _ in range(5):
        loop.now += 11
        loop.report_idle()
        await loop.reconcile()
    assert "a spot node was reclaimed" in await message(loop, "SpotReclaimed")


async def test_events_that_cannot_be_written_harm_nothing(loop: Loop, monkeypatch: Any) -> None:
    apply = loop.api.apply

    async def refusing(path: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/events/" in path:
            raise KubernetesError(FORBIDDEN, "events is forbidden")
        return dict(await apply(path, body))

    monkeypatch.setattr(loop.api, "apply", refusing)
    loop.create()
    await settle(loop)
    loop.renew()
    await settle(loop)
    assert await events(loop) == []
    assert loop.status()["regions"][0]["phase"] == "Waking"
    assert loop.condition("Degraded") == ("False", "AsExpected")
