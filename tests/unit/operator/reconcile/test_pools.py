"""Two pools on the reconcile loop: fallback, the way back, restarts in between, and changes of capacity.spot."""

from typing import Any

from voxfleet_operator.decisions.timestamps import to_rfc3339
from voxfleet_operator.kinds import POD_EVENT, Watch

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

SPOT = "spot"
DRAIN_SECONDS = 120  # of disruption.drainSeconds, the default
STAYS = {"autoscaling": {"minReplicas": 1}}


async def settled(loop: Loop) -> None:
    """Reconcile until nothing is written any more, not even a message that had to wait for ten seconds."""
    quiet = 0
    for _ in range(8):
        quiet = 0 if await loop.writes_of() else quiet + 1
        if quiet == 2:
            return
        loop.now += 11
        loop.report_idle()
    raise AssertionError(loop.api.writes)


async def drained(loop: Loop) -> None:
    """The pod that leaves has had its time to drain."""
    loop.now += DRAIN_SECONDS
    loop.report_idle()
    await settled(loop)


def region(loop: Loop) -> dict[str, Any]:
    found: dict[str, Any] = loop.status()["regions"][0]
    return found


async def on_spot(loop: Loop, spot: str = "Preferred") -> None:
    loop.create(capacity={"spot": spot}, **STAYS)
    await loop.reconcile()
    loop.add_ready_pod("spot-1", pool=SPOT)
    await settled(loop)


async def fallen_back(loop: Loop) -> None:
    """Awake on demand after a wake without spot nodes, with the probe pending."""
    loop.create(capacity={"spot": "Preferred"}, **STAYS)
    await loop.reconcile()
    loop.add_pod("spot-1", pool=SPOT)
    loop.now += 20
    await loop.reconcile()
    loop.add_ready_pod("ondemand-1")
    await settled(loop)


async def test_each_pool_has_a_deployment_and_a_wake_asks_for_spot(loop: Loop) -> None:
    loop.create(capacity={"spot": "Preferred"})
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 0, "spot": 0}
    loop.renew()
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 0, "spot": 1}


async def test_a_wake_without_spot_nodes_is_covered_after_wake_fallback_seconds(loop: Loop) -> None:
    loop.create(capacity={"spot": "Preferred"}, **STAYS)
    await loop.reconcile()
    loop.add_pod("spot-1", pool=SPOT)
    loop.now += 11
    assert await loop.reconcile() == loop.now + 9, "the pod is late then"
    assert "pod spot-1 waits for a spot node since" in region(loop)["message"]
    loop.now += 9
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 1, "spot": 1}
    assert loop.condition("Degraded") == ("True", "SpotUnavailable")
    loop.add_ready_pod("ondemand-1")
    await settled(loop)
    assert (region(loop)["readyReplicas"], region(loop)["spotReplicas"]) == (1, 0)
    assert region(loop)["message"].startswith("0 spot, 1 on demand: ")


async def test_a_fallback_is_silent_and_survives_a_restart(loop: Loop) -> None:
    await fallen_back(loop)
    loop.now += 3600
    loop.report_idle()
    await settled(loop)
    written = 0
    for _ in range(100):
        loop.now += 60
        loop.report_idle()
        before = {**loop.status(), "cost": None}
        written += len(await loop.writes_of())
        assert {**loop.status(), "cost": None} == before, "the message changes with events, not with time"
    assert written == 10, "the cost, every ten minutes"
    loop.restart(loop.reconciler.installation)
    loop.report_idle()
    await settled(loop)
    assert loop.replicas() == {"ondemand": 1, "spot": 1}


async def test_spot_that_is_back_takes_over_and_nothing_else_changes(loop: Loop) -> None:
    await fallen_back(loop)
    loop.set_ready("spot-1")
    await settled(loop)
    assert loop.replicas() == {"ondemand": 1, "spot": 1}, "ondemand-1 drains first"
    await drained(loop)
    assert loop.replicas() == {"ondemand": 0, "spot": 1}
    loop.remove_pod("ondemand-1")
    await settled(loop)
    assert region(loop)["spotReplicas"] == 1
    assert loop.condition("Degraded") == ("False", "AsExpected")
    assert region(loop)["message"] == "1 spot, 0 on demand"


def reclaim(loop: Loop, name: str) -> None:
    conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "DisruptionTarget")]
    conditions[-1]["reason"] = "TerminationByKubelet"
    loop.set_pod_status(name, {"phase": "Running", "podIP": "10.9.9.9", "conditions": conditions})


def reclaims(loop: Loop) -> float | None:
    count: float | None = loop.metrics.registry.get_sample_value("voxfleet_operator_reclaims_total")
    return count


async def test_ten_minutes_after_a_reclaim_survive_a_restart(loop: Loop) -> None:
    await on_spot(loop)
    reclaim(loop, "spot-1")
    reclaimed_at = loop.now
    await settled(loop)
    assert reclaims(loop) == 1, "by however many reconciles it is observed"
    loop.remove_pod("spot-1")
    loop.add_pod("spot-2", pool=SPOT)
    loop.now += 20
    await settled(loop)
    loop.add_ready_pod("ondemand-1")
    await settled(loop)
    loop.set_ready("spot-2")
    loop.restart(loop.reconciler.installation)
    loop.report_idle()
    await settled(loop)
    assert loop.replicas() == {"ondemand": 1, "spot": 1}, "spot was reclaimed a minute ago"
    assert reclaims(loop) == 0, "an earlier process has counted it"
    assert "back to spot from" in region(loop)["message"]
    loop.now = reclaimed_at + 600
    loop.report_idle()
    await settled(loop)
    await drained(loop)
    assert loop.replicas() == {"ondemand": 0, "spot": 1}


async def test_a_drain_by_choice_leaves_the_way_back_to_spot_open(loop: Loop) -> None:
    await on_spot(loop)
    conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "DisruptionTarget")]
    conditions[-1]["reason"] = "EvictionByEvictionAPI"
    loop.set_pod_status("spot-1", {"phase": "Running", "podIP": "10.9.9.9", "conditions": conditions})
    await settled(loop)
    loop.remove_pod("spot-1")
    loop.add_pod("spot-2", pool=SPOT)
    loop.now += 20
    await settled(loop)
    loop.add_ready_pod("ondemand-1")
    loop.set_ready("spot-2")
    await settled(loop)
    await drained(loop)
    assert loop.replicas() == {"ondemand": 0, "spot": 1}, "no quiet time"


def said(loop: Loop, pod: str, reason: str, source: str = "karpenter") -> None:
    loop.api.version += 1
    at = to_rfc3339(loop.now)
    metadata = {"name": f"{pod}.{loop.api.version}", "uid": "e", "resourceVersion": str(loop.api.version)}
    loop.store.on_change(
        Watch(POD_EVENT, ""),
        {
            "metadata": metadata | {"namespace": "default"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": pod},
            "reason": reason,
            "source": {"component": source},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "message": "gpu-spot",
        },
    )


async def waking(loop: Loop) -> None:
    loop.create(capacity={"spot": "Preferred"}, **STAYS)
    await loop.reconcile()
    loop.add_pod("spot-1", pool=SPOT)
    await loop.reconcile()


async def test_no_second_node_is_bought_while_an_autoscaler_adds_one(loop: Loop) -> None:
    await waking(loop)
    loop.now += 2
    said(loop, "spot-1", "Nominated")
    for _ in range(8):
        loop.now += 10
        await loop.reconcile()
        assert loop.replicas() == {"ondemand": 0, "spot": 1}
    assert "which karpenter adds; on demand instead from" in region(loop)["message"]
    loop.set_ready("spot-1")
    await settled(loop)
    assert loop.replicas() == {"ondemand": 0, "spot": 1}
    assert region(loop)["message"] == "1 spot, 0 on demand"


async def test_a_promised_node_that_does_not_come_is_covered_after_the_boot_time(loop: Loop) -> None:
    await waking(loop)
    loop.now += 2
    said(loop, "spot-1", "TriggeredScaleUp", "cluster-autoscaler")
    promised_at = loop.now
    loop.now += 100
    said(loop, "spot-1", "TriggeredScaleUp", "cluster-autoscaler")
    assert await loop.reconcile() == promised_at + 180
    loop.now = promised_at + 180
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 1, "spot": 1}
    degraded = next(each for each in loop.status()["conditions"] if each["type"] == "Degraded")
    assert "though cluster-autoscaler adds one since" in degraded["message"]


async def test_what_an_autoscaler_cannot_add_is_covered_at_once(loop: Loop) -> None:
    await waking(loop)
    loop.now += 2
    said(loop, "spot-1", "FailedScheduling", "default-scheduler")
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 0, "spot": 1}, "the scheduler only says that no node is there yet"
    said(loop, "spot-1", "FailedScheduling")
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 1, "spot": 1}
    degraded = next(each for each in loop.status()["conditions"] if each["type"] == "Degraded")
    assert "and karpenter adds none: gpu-spot (0/2 nodes" in degraded["message"]


async def test_required_waits_and_says_so(loop: Loop) -> None:
    loop.create(capacity={"spot": "Required"}, **STAYS)
    await loop.reconcile()
    loop.add_pod("spot-1", pool=SPOT)
    loop.now += 60
    await settled(loop)
    assert loop.replicas() == {"spot": 1}
    degraded = next(each for each in loop.status()["conditions"] if each["type"] == "Degraded")
    assert degraded["reason"] == "SpotUnavailable"
    for part in ("capacity.spot is Required", "pod spot-1", "didn't match", "Preferred", "node pool"):
        assert part in degraded["message"]


async def test_required_without_a_spot_node_fails_the_wake_with_the_field_and_backs_off(loop: Loop) -> None:
    loop.create("eu", "us", capacity={"spot": "Required"}, autoscaling={"minReplicas": 1, "wakeTimeoutSeconds": 100})
    await loop.reconcile()
    loop.add_pod("spot-1", pool=SPOT)
    loop.add_ready_pod("spot-us", "us", pool=SPOT)
    loop.now += 101
    await settled(loop)
    assert region(loop)["phase"] == "Failed"
    for part in ("no spot node", "capacity.spot to Preferred"):
        assert part in region(loop)["failure"]["message"]
    assert (loop.replicas(), loop.replicas("us")) == ({"spot": 0}, {"spot": 1}), "the other region serves on"


async def test_spot_that_is_switched_off_ends_after_its_replacement_and_its_deployment_is_deleted(loop: Loop) -> None:
    await on_spot(loop)
    loop.change_spec(capacity={"spot": "Never"})
    await settled(loop)
    assert loop.replicas() == {"ondemand": 1, "spot": 1}
    assert "capacity.spot is Never" in region(loop)["message"]
    loop.restart(loop.reconciler.installation)
    loop.report_idle()
    await settled(loop)
    assert loop.replicas() == {"ondemand": 1, "spot": 1}
    loop.add_ready_pod("ondemand-1")
    await settled(loop)
    await drained(loop)
    assert loop.replicas() == {"ondemand": 1}
    loop.remove_pod("spot-1")
    await settled(loop)
    assert region(loop).get("message", "") == ""


async def test_spot_that_is_switched_on_replaces_the_server_on_demand(loop: Loop) -> None:
    for use in ("Required", "Preferred"):
        fresh = type(loop)()
        fresh.create(**STAYS)
        await fresh.reconcile()
        fresh.add_ready_pod("ondemand-1")
        await settled(fresh)
        fresh.change_spec(capacity={"spot": use})
        await settled(fresh)
        assert fresh.replicas() == {"ondemand": 1, "spot": 1}
        fresh.add_ready_pod("spot-1", pool=SPOT)
        await settled(fresh)
        await drained(fresh)
        assert fresh.replicas() == ({"spot": 1} if use == "Required" else {"ondemand": 0, "spot": 1})


async def test_the_base_runs_on_demand(loop: Loop) -> None:
    loop.create(capacity={"spot": "Preferred", "onDemandBase": 1}, autoscaling={"minReplicas": 3})
    await loop.reconcile()
    assert loop.replicas() == {"ondemand": 1, "spot": 2}
