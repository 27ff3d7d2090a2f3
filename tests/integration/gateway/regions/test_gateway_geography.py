"""Clients by their addresses, at a real gateway process: served nearby, by what was learned, also after a restart."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from voxfleet_gateway.replay import replay
from voxfleet_gateway.tokens import gateway_token

SHANGHAI, VIRGINIA = "1.0.1.77", "8.8.8.77"
REPORTS = 3
PLACES = {
    "1.0.0.0/16": {"country": {"iso_code": "CN"}, "location": {"latitude": 31.2, "longitude": 121.5}},
    "8.8.8.0/24": {"country": {"iso_code": "US"}, "location": {"latitude": 38.9, "longitude": -77.5}},
}


def write_database(path: Path, places: dict[str, dict[str, Any]]) -> None:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True)
    for network, record in places.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path.with_suffix(".new")))
    path.with_suffix(".new").replace(path)


@pytest.fixture
async def regions(stage: Any, new_pod: Any) -> None:
    """Two regions that are awake, one in Shanghai and one in Virginia."""
    entries = [
        stage.region("us-east", phase="Awake"),
        stage.region("eu-central", phase="Awake") | {"name": "ap-shanghai", "latitude": 31.2, "longitude": 121.5},
    ]
    for name, service in (("us-east", "us-east"), ("ap-shanghai", "eu-central")):
        stage.put_lease(service, renew_time=datetime.now(UTC))
        stage.put_pods(service, await new_pod(), ready=True)
        assert name in {entry["name"] for entry in entries}
    stage.put_model(entries)


async def explained_by(session: aiohttp.ClientSession, by: Any, address: str) -> tuple[str, str, str]:
    """Return what `voxfleet route explain --client` would say: region, source of round trips, country."""
    token = {"Authorization": f"Bearer {gateway_token('integration-key')}"}
    query = {"client": address, "model": "voxcpm-1.5"}
    async with session.get(by.url("/internal/explain", "internal"), params=query, headers=token) as answer:
        assert answer.status == 200
        body = await answer.json()
    asked = body["record"]["route_request"]
    return body["region"], asked["rtt_source"], asked["client_country"]


@pytest.mark.usefixtures("regions")
async def test_clients_are_served_nearby_and_by_what_was_learned(
    start_gateway: Any, speak: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    database = tmp_path / "places.mmdb"
    write_database(database, PLACES)
    settings = {"VOXFLEET_LOCATION_DATABASE": str(database)}
    gateway = await start_gateway(region="us-east", **settings)
    explained = partial(explained_by, session)

    async def record(by: Any, address: str) -> tuple[str, str]:
        """Return the region that served a client, and where its round trips were from."""
        answer = await speak(by, headers={"X-Forwarded-For": f"8.8.8.8, {address}"})
        assert answer.status == 200
        request_id = answer.headers["X-Request-Id"]

        def logged() -> list[dict[str, Any]]:
            return [line for line in by.records() if line["request_id"] == request_id]

        (line,) = await by.until(logged, "the request's record")
        return answer.headers["Voxfleet-Region"], line["route_request"].get("rtt_source", "assumed")

    assert await explained(gateway, SHANGHAI) == ("ap-shanghai", "distance", "CN")
    assert await record(gateway, SHANGHAI) == ("ap-shanghai", "distance")
    assert await record(gateway, VIRGINIA) == ("us-east", "distance")

    # A client whose path to Shanghai is broken says so, more than once; its neighbours are unaffected.
    report = {"rtt_seconds": {"us-east": 0.04, "ap-shanghai": 0.9}}
    for _ in range(REPORTS):
        async with session.post(gateway.url("/v1/rtt"), json=report, headers={"X-Forwarded-For": SHANGHAI}) as answer:
            assert answer.status == 204
        await asyncio.sleep(1.1)  # one report in a second counts
    assert await record(gateway, SHANGHAI) == ("us-east", "measured")
    assert await record(gateway, "1.0.2.77") == ("ap-shanghai", "distance")
    assert await explained(gateway, SHANGHAI) == ("us-east", "measured", "CN")
    assert await explained(gateway, "1.0.2.77") == ("ap-shanghai", "distance", "CN")

    restarted = await start_gateway(
        region="us-east", VOXFLEET_VOICE_PEERS=f"127.0.0.1:{gateway.ports['internal']}", **settings
    )
    await restarted.until(lambda: any(line["event"] == "rtt_fetched" for line in restarted.lines), "the exchange")
    assert await record(restarted, SHANGHAI) == ("us-east", "measured")

    for process in (gateway, restarted):
        decided = list(replay(json.dumps(line) for line in process.lines))
        assert decided
        assert all(each.is_same for each in decided)
        printed = json.dumps(process.lines) + str(process.other_output)
        assert not [text for text in (SHANGHAI, VIRGINIA, "8.8.8.", "1.0.1.", "1.0.2.") if text in printed]
