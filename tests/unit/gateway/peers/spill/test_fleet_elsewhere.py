"""The fleet page's rows, wakes and sleeps of a region that is behind another gateway."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.decisions.demand_lease import SLEEP_AT
from voxfleet_gateway.decisions.pods.pod_state import PodAddress

LEASE = {"namespace": "demand", "name": "n-us"}


class LeaseApi:
    """An API server with the Lease of us."""

    def __init__(self) -> None:
        renewed = datetime.now(UTC) - timedelta(seconds=30)
        self.patches: list[dict[str, Any]] = []
        self.lease: dict[str, Any] = {
            "metadata": {**LEASE, "resourceVersion": "1", "annotations": {}},
            "spec": {"leaseDurationSeconds": 60, "renewTime": renewed.isoformat()},
        }

    async def merge_patch(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.patches.append(body)
        self.lease["metadata"]["annotations"] |= body["metadata"]["annotations"]
        return self.lease


async def call(port: int, path: str, region: str = "") -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session:
        url, body = f"http://127.0.0.1:{port}{path}", {"region": region}
        asked = session.post(url, json=body) if region else session.get(url)
        async with asked as response:
            return response.status, await response.json()


async def test_a_region_elsewhere_is_shown_by_its_gateway_s_report(regions: Any, wire: Any) -> None:
    eu, us = await regions.pair([], [wire.speaking()])
    us.report["open_requests"] = 3
    us.record_reports()

    async def row() -> dict[str, Any]:
        rows = (await call(eu.port, "/v1/fleet"))[1]["regions"]
        return next(each for each in rows if each["region"] == "us")

    await regions.until(lambda: (eu.gateway.peering.regions.newest_report(_key(eu, "us")) or IDLE).pod_requests == 3)
    eu.gateway.fleet.notify(_key(eu, "us"))
    found = await row()
    assert (found["phase"], found["known_by"], found["is_here"], found["is_stale"]) == ("Awake", "peer", False, False)
    assert found["pools"] == [{"pool": "unknown", "ready": 1, "starting": 0, "draining": 0}]
    assert (found["open_requests"], found["rows"], found["fault"]) == (3, 64, "")


class IDLE:
    """A report before the first."""

    pod_requests = 0


def _key(here: Any, region: str) -> Any:
    return type(here.key)("d", "n", region)


async def test_a_region_elsewhere_is_woken_and_put_to_sleep_by_its_gateway(regions: Any) -> None:
    eu, us = await regions.pair(
        [], [], eu={"operate_without_key": True}, entries={"us": {"lease": LEASE}}
    )  # us itself lets no client operate
    api = LeaseApi()
    leases = us.gateway.fleet_page.operations.leases
    leases.api = api
    leases.changed(api.lease)

    status, body = await call(eu.port, "/v1/models/d/n/sleep", "us")
    assert (status, body["region"], body["state"]) == (202, "us", "asked")
    assert SLEEP_AT in api.patches[0]["metadata"]["annotations"]
    assert (await call(us.port, "/v1/models/d/n/sleep", "us"))[0] == 403, "no client of us may"

    status, body = await call(eu.port, "/v1/models/d/n/wake", "us")
    assert (status, body["region"], body["state"]) == (202, "us", "waking")
    await regions.until(lambda: us.gateway.fleet.regions[us.key].traffic.waking_since_seconds is not None)
    assert eu.gateway.fleet.regions[eu.key].traffic.waking_since_seconds is None


@pytest.mark.parametrize("path", ["/v1/models/d/n/sleep", "/v1/models/d/n/wake"])
async def test_a_region_whose_gateway_is_not_reached_says_why(regions: Any, path: str) -> None:
    eu, us = await regions.pair([], [], eu={"operate_without_key": True})
    peer = eu.gateway.peering.regions.peer_of[_key(eu, "us")]
    eu.gateway.peering.poller.polls[peer].fault = "connect: refused"
    await us.gateway.peering.stop()
    status, body = await call(eu.port, path, "us")
    assert status == 503
    assert body["error"]["code"] == "region_unreachable"
    assert "connect: refused" in body["error"]["message"]


async def test_a_region_elsewhere_reports_what_all_of_its_gateways_hold(regions: Any) -> None:
    eu, us = await regions.pair([], [])
    sister, _ = await regions.open("us", pod_name="gateway-us-2")
    entries = next(iter(us.gateway.fleet.registry().entries.values())).regions
    sister.serve_model(*entries, ports=[])
    us.gateway.fleet_page.replicas.others = lambda: [sister.internal_address]
    us.gateway.fleet.replicas = 2

    async def seen() -> tuple[int, int]:
        rows = (await call(eu.port, "/v1/fleet"))[1]["regions"]
        row = next(each for each in rows if each["region"] == "us")
        return row["held_requests"], row["silent_gateways"]

    async def until(expected: tuple[int, int]) -> None:
        async with asyncio.timeout(30):
            while await seen() != expected:  # noqa: ASYNC110  # of other gateways
                await asyncio.sleep(0.1)

    async with aiohttp.ClientSession() as session:
        body, headers = {"model": "m", "input": "hi"}, {"Prefer": "wait=30"}
        url = f"http://127.0.0.1:{sister.port}/v1/audio/speech"
        held = asyncio.create_task(session.post(url, json=body, headers=headers).__aenter__())
        await until((1, 0))
        us.gateway.fleet_page.replicas.others = lambda: [PodAddress("127.0.0.1", 0, 1)]
        await until((0, 1))
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
