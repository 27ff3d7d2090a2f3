"""The HTTP side of a real gateway process: names, errors, headers, limits, the internal ports."""

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.replay import replay


@pytest.fixture
async def gateway(stage: Any, new_pod: Any, start_gateway: Any) -> Any:
    """A gateway with one awake model; the pod is at `gateway.pod`."""
    stage.put_lease("eu-central", renew_time=datetime.now(UTC))
    stage.put_model([stage.region("eu-central", phase="Awake")])
    pod = await new_pod()
    stage.put_pods("eu-central", pod, ready=True)
    started = await start_gateway()
    started.pod = pod
    return started


async def test_an_unknown_model_is_404_at_once_and_names_the_known_ones(gateway: Any, speak: Any) -> None:
    answer = await speak(gateway, model="gpt-voice")
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "model_not_found", "model")
    assert "voxcpm-1.5" in answer.error["message"]
    assert answer.seconds < 0.5
    assert answer.headers["Voxfleet-Region"] == "eu-central"


async def test_models_are_listed_under_every_name(gateway: Any, stage: Any, session: aiohttp.ClientSession) -> None:
    async with session.get(gateway.url("/v1/models")) as answer:
        listed = [row["id"] for row in (await answer.json())["data"]]
    assert listed == ["voxcpm-1.5", f"{stage.apps}/narrator"]
    for name in listed:
        async with session.get(gateway.url(f"/v1/models/{name}")) as answer:
            assert (await answer.json())["id"] == name
    async with session.get(gateway.url("/v1/models/nothing")) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "model_not_found")


async def test_the_full_name_reaches_the_pod_as_the_name_it_serves(gateway: Any, stage: Any, speak: Any) -> None:
    assert (await speak(gateway, model=f"{stage.apps}/narrator", input="你好。")).status == 200
    assert gateway.pod.served[0] == {"model": "voxcpm-1.5", "input": "你好。", "response_format": "wav"}


async def test_a_broken_configmap_affects_no_other_model(gateway: Any, stage: Any, speak: Any) -> None:
    stage.put_configmap("broken", {"model.json": "{"})
    await gateway.until(lambda: any(line["event"] == "registry_entry_ignored" for line in gateway.lines), "log line")
    assert (await speak(gateway)).status == 200


async def test_wrong_requests_wake_nothing(
    stage: Any, start_gateway: Any, speak: Any, session: aiohttp.ClientSession
) -> None:
    for region, model in (("eu-central", "voxcpm-1.5"), ("us-east", "sleeper")):
        stage.put_lease(region)
        stage.put_model([stage.region(region)], name=f"in-{region}", model=model)
    gateway = await start_gateway()
    for fields in ({"input": ""}, {"input": 7}, {"input": "x" * 5000}, {"response_format": "midi"}, {"speed": 9}):
        answer = await speak(gateway, **fields)
        assert (answer.status, answer.error["param"]) == (400, next(iter(fields)))
    # Leases are renewed in the order of the requests: after this one, an earlier renewal would be there too.
    async with session.post(gateway.url("/v1/models/sleeper/wake")) as answer:
        assert answer.status == 202
    await gateway.until(lambda: stage.lease("us-east")["spec"].get("renewTime"), "renewal of the later request")
    assert "renewTime" not in stage.lease("eu-central")["spec"]


async def test_request_ids_and_internal_headers(gateway: Any, speak: Any) -> None:
    sent = {"X-Request-Id": "abc-1", "Voxfleet-Tenant": "thief", "Authorization": "Bearer secret", "Connection": "x"}
    answer = await speak(gateway, headers=sent)
    assert answer.headers["X-Request-Id"] == "abc-1"
    seen = gateway.pod.headers_seen[0]
    assert seen["X-Request-Id"] == "abc-1"
    assert not [name for name in ("Voxfleet-Tenant", "Authorization", "Connection") if name in seen]
    assert (await speak(gateway)).headers["X-Request-Id"]


async def test_a_body_beyond_the_bound_is_refused(gateway: Any, session: aiohttp.ClientSession) -> None:
    big = b'{"model": "' + b"x" * (17 * 2**20) + b'"}'
    async with session.post(gateway.url("/v1/audio/speech"), data=big) as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (413, "invalid_request_error")
        assert answer.headers["Voxfleet-Region"]


async def test_two_lengths_are_refused(gateway: Any) -> None:
    head = (
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.ports["api"])
    writer.write(head)
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert gateway.pod.served == []
    assert "127.0.0.1" not in str(gateway.lines) + str(gateway.other_output), "raw addresses are never logged"


async def test_the_load_is_readable_with_the_gateways_token_only(
    gateway: Any, stage: Any, speak: Any, session: aiohttp.ClientSession
) -> None:
    await speak(gateway)
    async with session.get(gateway.url("/internal/load", "internal")) as answer:
        assert answer.status == 401
    token = hmac.new(b"integration-key", b"gateway", hashlib.sha256).hexdigest()
    async with session.get(
        gateway.url("/internal/load", "internal"), headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        load = await answer.json()
    assert (load["gateway"], load["region"]) == ("gateway-eu-central", "eu-central")
    model, pod = load["models"][0], load["pods"][0]
    assert (model["namespace"], model["name"], model["region"]) == (stage.apps, "narrator", "eu-central")
    assert (model["held_requests"], model["open_requests"]) == (0, 0)
    assert datetime.fromisoformat(model["last_request_finished_at"]) <= datetime.now(UTC)
    assert 0 < model["arrivals_per_second"] < 1
    assert pod["address"] == gateway.pod.address
    assert pod["load"]["extra"] == "passed on"
    assert 0 <= pod["age_seconds"] < 15


async def test_metrics_are_served(gateway: Any, speak: Any, session: aiohttp.ClientSession) -> None:
    await speak(gateway)
    async with session.get(gateway.url("/metrics", "metrics")) as answer:
        text = await answer.text()
    assert 'voxfleet_gateway_requests_total{code="200"' in text


async def test_records_are_decided_again_to_the_same_result(gateway: Any, speak: Any) -> None:
    for place in ("40.7,-74.0", "nowhere", "52.5,13.4"):
        await speak(gateway, headers={"Voxfleet-Client-Location": place})
    await gateway.until(lambda: len(gateway.records()) == 3, "records")
    replayed = list(replay(json.dumps(line) for line in gateway.lines))
    assert len(replayed) == 3
    assert all(result.is_same for result in replayed)
