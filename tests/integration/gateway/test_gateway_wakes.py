"""A request for a sleeping region: held, its Lease renewed, sent when a pod reports ready."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp


async def test_a_request_is_held_until_a_pod_reports_ready(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any, meanwhile: Any
) -> None:
    stage.put_lease("eu-central")
    stage.put_lease("us-east")
    stage.put_model([stage.region("eu-central"), stage.region("us-east")])
    gateway = await start_gateway()
    async with meanwhile(speak(gateway)) as asked:
        lease = await gateway.until(
            lambda: stage.lease("eu-central")["spec"].get("renewTime") and stage.lease("eu-central"), "renewal"
        )
        assert lease["spec"]["holderIdentity"] == "gateway-eu-central"
        pod = await new_pod(state="loading")
        stage.put_pods("eu-central", pod, ready=False)
        await gateway.until(lambda: pod.polls > 3, "polls")
        assert not asked.done()
        assert pod.served == []
        pod.state = "ready"
        began = asyncio.get_running_loop().time()
        answer = await asked
    assert asyncio.get_running_loop().time() - began < 30, "the next poll releases it, not its deadline"
    assert (answer.status, answer.body) == (200, b"RIFFaudioend")
    assert answer.headers["Voxfleet-Region"] == "eu-central"
    assert answer.headers["Voxfleet-Route"] == "hold-wake"
    assert answer.headers["Voxfleet-Seed"] == "7"
    assert "renewTime" not in stage.lease("us-east")["spec"]
    record = await gateway.until(gateway.records, "record")
    assert record[0]["held_seconds"] > 0.3
    assert "Hello" not in str(gateway.lines)
    assert "127.0.0.1" not in str(record)


async def test_a_sleeping_region_is_renewed_before_its_old_pods_are_used(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any
) -> None:
    now = datetime.now(UTC)
    stage.put_lease("eu-central", renew_time=now - timedelta(seconds=20), asleep_since=now - timedelta(seconds=1))
    stage.put_model([stage.region("eu-central")])
    pod = await new_pod()
    stage.put_pods("eu-central", pod, ready=True)
    gateway = await start_gateway()
    answer = await speak(gateway)
    assert answer.status == 200
    renewed = datetime.fromisoformat(stage.lease("eu-central")["spec"]["renewTime"])
    assert renewed > now


async def test_the_lease_is_renewed_once_more_when_the_last_request_ends(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any
) -> None:
    # Two seconds old: long enough for the next renewal, and too short for one while the request is open.
    stage.put_lease("eu-central", renew_time=datetime.now(UTC) - timedelta(seconds=2))
    stage.put_model([stage.region("eu-central")])
    pod = await new_pod()
    stage.put_pods("eu-central", pod, ready=True)
    gateway = await start_gateway()
    before = stage.lease("eu-central")["spec"]["renewTime"]
    await speak(gateway)
    await gateway.until(lambda: stage.lease("eu-central")["spec"]["renewTime"] > before, "renewal")
    after = stage.lease("eu-central")["metadata"]["resourceVersion"]
    polls = pod.polls
    await gateway.until(lambda: pod.polls >= polls + 2, "two more polls, a second apart")
    assert stage.lease("eu-central")["metadata"]["resourceVersion"] == after, "a quiet region's Lease is not renewed"


async def test_prefer_wait_bounds_the_hold_and_503_has_retry_after(stage: Any, start_gateway: Any, speak: Any) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central", predicted_wake_seconds=42)])
    gateway = await start_gateway()
    answer = await speak(gateway, headers={"Prefer": "wait=1"})
    assert answer.status == 503
    assert 0.9 < answer.seconds < 10
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert float(answer.headers["Voxfleet-Wake-Estimate"]) > 30
    assert answer.headers["Voxfleet-Region"] == "eu-central"
    assert answer.error["code"] == "region_waking"


async def test_the_other_region_serves_while_home_wakes(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any
) -> None:
    for region in ("eu-central", "us-east"):
        stage.put_lease(region)
    stage.put_model([stage.region("eu-central"), stage.region("us-east")])
    pod = await new_pod()
    stage.put_pods("us-east", pod, ready=True)
    gateway = await start_gateway()
    answer = await speak(gateway)
    assert (answer.status, answer.headers["Voxfleet-Region"]) == (200, "us-east")
    assert answer.headers["Voxfleet-Route"] == "spill-wake"
    await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "wake of the home region")


async def test_a_client_in_the_other_region_is_served_there(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any
) -> None:
    regions = ("eu-central", "us-east")
    pods = {region: await new_pod() for region in regions}
    for region in regions:
        stage.put_lease(region, renew_time=datetime.now(UTC))
        stage.put_pods(region, pods[region], ready=True)
    stage.put_model([stage.region(region) for region in regions])
    gateway = await start_gateway()
    here = await speak(gateway)
    there = await speak(gateway, headers={"Voxfleet-Client-Location": "40.7,-74.0"})
    assert (here.headers["Voxfleet-Region"], there.headers["Voxfleet-Region"]) == regions
    assert {here.headers["Voxfleet-Route"], there.headers["Voxfleet-Route"]} == {"nearest"}
    assert "Voxfleet-Client-Location" not in pods["us-east"].headers_seen[0]


async def test_the_wake_endpoint_renews_the_lease(
    stage: Any, start_gateway: Any, session: aiohttp.ClientSession
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    gateway = await start_gateway()
    for name in ("voxcpm-1.5", f"{stage.apps}/narrator"):
        async with session.post(gateway.url(f"/v1/models/{name}/wake")) as answer:
            assert answer.status == 202
            assert (await answer.json())["region"] == "eu-central"
    await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "renewal")


async def test_many_requests_share_one_wake_and_are_released_up_to_the_pods_limit(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    gateway = await start_gateway()
    asked = [asyncio.create_task(speak(gateway)) for _ in range(120)]  # of the 128 that one of two gateways may hold
    await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "wake")
    renewed = stage.lease("eu-central")["metadata"]["resourceVersion"]
    pod, most, now = await new_pod(state="loading"), 0, 0

    async def count(_request: Any) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1

    pod.before_headers = count
    stage.put_pods("eu-central", pod)
    await gateway.until(lambda: pod.polls > 1, "polls")
    assert stage.lease("eu-central")["metadata"]["resourceVersion"] == renewed, "one wake for all of them"
    pod.state = "ready"
    answers = await asyncio.gather(*asked)
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"RIFFaudioend")}
    assert len(pod.served) == 120, "each was sent once"
    assert most <= 80, "32 rows and a queue of 128, divided by two gateways"
