"""The ledger through the reconcile loop: what is written, when, and what the counters say."""

from typing import Any

PRICED = {"name": "eu", "pricePerGpuHour": {"onDemand": "3.6", "spot": "1.8"}}
MINUTE, HOUR = 60.0, 3600.0


def month(loop: Any) -> dict[str, Any]:
    (found,) = loop.status()["cost"]["months"]
    return dict(found)


def counter(loop: Any, name: str, **labels: str) -> float:
    where = {"namespace": "default", "name": "narrator", "region": "eu"} | labels
    return loop.metrics.registry.get_sample_value(f"voxfleet_operator_{name}_total", where) or 0.0


async def awake_for(loop: Any, seconds: float) -> None:
    """Wake the region, and let it serve for a time in which the Lease is renewed and the load is known."""
    loop.renew()
    await loop.reconcile()
    loop.add_ready_pod()
    await settle(loop)
    end = loop.now + seconds
    while loop.now < end:
        loop.now += min(MINUTE, end - loop.now)
        loop.renew()
        loop.report_idle()
        await loop.reconcile()


async def settle(loop: Any) -> None:
    for _ in range(4):
        await loop.reconcile()


async def asleep_again(loop: Any) -> None:
    loop.now += 30 * MINUTE + 1
    while loop.replicas().get("ondemand"):
        loop.now += 5
        loop.report_idle()
        await loop.reconcile()
    loop.remove_pod("pod-1")
    await settle(loop)


async def test_a_wake_of_known_length(loop: Any) -> None:
    loop.create(autoscaling={"idleTimeoutSeconds": 1800})
    loop.change_spec(regions=[PRICED])
    await settle(loop)
    began = loop.now
    loop.now += HOUR
    await awake_for(loop, 2 * HOUR)
    await asleep_again(loop)
    woken_seconds = loop.now - began - HOUR
    row = month(loop)
    assert float(row["onDemandSeconds"]) == woken_seconds
    assert float(row["onDemandPaid"]) == round(3.6 * woken_seconds / HOUR, 6)
    assert (row["asleepSeconds"], row["asleepCost"], row["baselineGpus"]) == ("3600", "3.6", 1)
    cost = loop.status()["cost"]
    assert (float(cost["gpuSeconds"]), cost["gpuSecondsAvoided"]) == (woken_seconds, "3600")
    assert counter(loop, "gpu_seconds", pool="ondemand") == woken_seconds
    assert counter(loop, "gpu_seconds", pool="spot") == 0
    assert counter(loop, "gpu_cost", pool="ondemand") > 7.2
    assert counter(loop, "avoided_gpu_seconds") == 3600
    assert counter(loop, "avoided_gpu_cost") == 3.6


async def test_it_is_written_every_ten_minutes_and_never_asleep(loop: Any) -> None:
    loop.create()
    await settle(loop)
    loop.now += 30 * HOUR
    assert await loop.writes_of(5) == []
    await awake_for(loop, MINUTE)
    loop.api.requests.clear()
    await awake_for(loop, HOUR)
    statuses = [path for path in loop.api.writes if path.endswith("/status")]
    assert 6 <= len(statuses) <= 6 + HOUR // 300, "and awakeUntil, when it is off by five minutes"


async def test_a_restart_goes_on_from_the_status(loop: Any) -> None:
    loop.create()
    await settle(loop)
    await awake_for(loop, 25 * MINUTE)
    before = float(month(loop)["onDemandSeconds"])
    loop.restart(loop.reconciler.installation)
    loop.now += 5 * MINUTE
    loop.renew()
    loop.report_idle()
    await loop.reconcile()
    loop.now += 10
    await loop.reconcile()
    assert before == 20 * MINUTE, "the last write"
    assert float(month(loop)["onDemandSeconds"]) == 30 * MINUTE


async def test_a_suspended_region_neither_uses_nor_saves(loop: Any) -> None:
    loop.create(suspend=True)
    await settle(loop)
    loop.now += HOUR
    loop.change_spec(suspend=False)
    await settle(loop)
    assert month(loop).get("asleepSeconds") is None
    loop.now += HOUR
    loop.change_spec(suspend=True)
    await settle(loop)
    assert month(loop)["asleepSeconds"] == "3600"


async def test_a_region_that_leaves_keeps_its_sums_and_a_deleted_resource_has_no_series(loop: Any) -> None:
    loop.create("eu", "us")
    await settle(loop)
    loop.now += HOUR
    loop.change_spec(regions=[{"name": "us"}])
    await settle(loop)
    loop.now += HOUR
    loop.change_spec(regions=[{"name": "us", "pricePerGpuHour": {"onDemand": "1"}}])
    await settle(loop)
    found = {row["region"]: row["asleepSeconds"] for row in loop.status()["cost"]["months"]}
    assert found == {"eu": "3600", "us": "7200"}
    assert counter(loop, "avoided_gpu_seconds") == 3600
    loop.api.remove("/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments/narrator")
    await loop.reconcile()
    assert (
        loop.metrics.registry.get_sample_value(
            "voxfleet_operator_avoided_gpu_seconds_total", {"namespace": "default", "name": "narrator", "region": "eu"}
        )
        is None
    )
