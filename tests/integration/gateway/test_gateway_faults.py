"""Faults around the gateway, and the responses that clients get."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web


@pytest.fixture
async def awake(stage: Any, new_pod: Any) -> Any:
    """One region, one ready pod."""
    stage.put_lease("eu-central", renew_time=datetime.now(UTC))
    stage.put_model([stage.region("eu-central", phase="Awake")])
    pod = await new_pod()
    stage.put_pods("eu-central", pod, ready=True)
    return pod


async def test_a_connection_reset_before_audio_is_retried(awake: Any, start_gateway: Any, speak: Any) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse | None:
        if len(awake.served) < 3:
            assert request.transport is not None
            request.transport.abort()
        return None

    awake.before_headers = hang_up
    gateway = await start_gateway()
    answer = await speak(gateway)
    assert (answer.status, answer.body) == (200, b"RIFFaudioend")
    assert len(awake.served) == 3
    assert (await gateway.until(gateway.records, "record"))[0]["attempts"] == 3


async def test_three_failures_are_enough(awake: Any, start_gateway: Any, speak: Any) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse | None:
        assert request.transport is not None
        request.transport.abort()
        return None

    awake.before_headers = hang_up
    gateway = await start_gateway()
    answer = await speak(gateway)
    assert (answer.status, answer.error["code"]) == (503, "upstream_failed")
    assert answer.headers["Retry-After"] == "5"
    assert len(awake.served) == 3


async def test_a_reset_after_headers_and_before_audio_is_retried(awake: Any, start_gateway: Any, speak: Any) -> None:
    async def headers_only(request: web.Request) -> web.StreamResponse | None:
        if len(awake.served) > 1:
            return None
        response = web.StreamResponse()
        await response.prepare(request)
        assert request.transport is not None
        request.transport.abort()
        return response

    awake.before_headers = headers_only
    answer = await speak(await start_gateway())
    assert (answer.status, answer.body, len(awake.served)) == (200, b"RIFFaudioend", 2)


async def test_a_failure_after_the_first_byte_breaks_the_connection(
    awake: Any, start_gateway: Any, session: aiohttp.ClientSession
) -> None:
    first_read = asyncio.Event()

    async def break_off(_number: int, request: web.Request) -> None:
        await first_read.wait()
        assert request.transport is not None
        request.transport.abort()

    awake.between_chunks = break_off
    gateway = await start_gateway()
    body = {"model": "voxcpm-1.5", "input": "Hello."}
    async with session.post(gateway.url("/v1/audio/speech"), json=body) as answer:
        assert await answer.content.readany() == b"RIFF"
        first_read.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert len(awake.served) == 1
    assert (await gateway.until(gateway.records, "record"))[0]["truncated"] is True


async def test_audio_is_passed_on_as_it_arrives(awake: Any, start_gateway: Any, session: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def wait(_number: int, _request: web.Request) -> None:
        await asyncio.wait_for(go_on.wait(), 60)

    awake.between_chunks = wait
    gateway = await start_gateway()
    body = {"model": "voxcpm-1.5", "input": "Hello."}
    async with session.post(gateway.url("/v1/audio/speech"), json=body) as answer:
        assert await answer.content.readany() == b"RIFF"  # while the pod still waits
        go_on.set()
        assert await answer.read() == b"audioend"


async def test_a_client_that_leaves_ends_the_pods_work_within_one_chunk(
    awake: Any, start_gateway: Any, session: aiohttp.ClientSession
) -> None:
    awake.chunks = [b"x" * 1000] * 500

    async def pace(_number: int, _request: web.Request) -> None:
        await asyncio.sleep(1)  # the pod's pace: it makes two chunks a bound in time that a busy machine keeps

    awake.between_chunks = pace
    gateway = await start_gateway()
    body = {"model": "voxcpm-1.5", "input": "Hello."}
    answer = await session.post(gateway.url("/v1/audio/speech"), json=body)
    await answer.content.readany()
    written = awake.written_chunks
    answer.close()
    await asyncio.wait_for(awake.cancelled.wait(), 30)
    assert awake.written_chunks - written <= 2
    await gateway.until(lambda: gateway.records() and gateway.records()[0]["status"] == 499, "record")


async def test_a_client_that_leaves_while_held_frees_its_place_in_the_queue(
    stage: Any, start_gateway: Any, session: aiohttp.ClientSession
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")], gateway={"hold_seconds": 60, "max_held_requests": 1, "spill": True})
    gateway = await start_gateway()
    body = {"model": "voxcpm-1.5", "input": "Hello."}

    async def ask() -> int:
        async with session.post(gateway.url("/v1/audio/speech"), json=body) as answer:
            return answer.status

    first = asyncio.create_task(ask())
    await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "wake")
    assert await ask() == 503, "the only place is taken"
    first.cancel()
    await gateway.until(lambda: len(gateway.records()) == 2, "both records")
    third = asyncio.create_task(ask())
    await asyncio.sleep(0.5)
    assert not third.done()
    third.cancel()


async def test_a_failed_region_answers_503_with_the_reason(stage: Any, start_gateway: Any, speak: Any) -> None:
    stage.put_lease("eu-central")
    reason = "model.safetensors is truncated: 10 of 20 bytes"
    stage.put_model([stage.region("eu-central", phase="Failed", message=reason, retry_after_seconds=300)])
    gateway = await start_gateway()
    answer = await speak(gateway)
    assert (answer.status, answer.error["code"]) == (503, "region_failed")
    assert reason in answer.error["message"]
    assert (answer.headers["Retry-After"], answer.headers["Voxfleet-Wake-Estimate"]) == ("60", "300.0")
    assert answer.headers["Voxfleet-Region"] == "eu-central"
    await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "demand for the next try")


async def test_a_pod_that_fails_while_a_request_is_held_gives_the_reason(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any, meanwhile: Any
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    gateway = await start_gateway()
    pod = await new_pod(state="loading")
    async with meanwhile(speak(gateway)) as asked:
        stage.put_pods("eu-central", pod)
        await gateway.until(lambda: pod.polls, "poll")
        pod.message = "config.json: architecture 'llama' is not VoxCPM"
        pod.state = "failed"
        answer = await asked
    assert (answer.status, answer.error["code"]) == (503, "region_failed")
    assert pod.message in answer.error["message"]


async def test_a_suspended_model_is_refused_as_suspended(stage: Any, start_gateway: Any, speak: Any) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")], suspended=True)
    answer = await speak(await start_gateway())
    assert (answer.status, answer.error["code"], answer.headers["Voxfleet-Route"]) == (503, "suspended", "suspended")
    assert int(answer.headers["Retry-After"]) <= 60
    assert "renewTime" not in stage.lease("eu-central")["spec"]


async def test_a_pod_killed_while_idle_is_replaced_without_an_error(
    stage: Any, awake: Any, new_pod: Any, start_gateway: Any, speak: Any, meanwhile: Any
) -> None:
    gateway = await start_gateway()
    assert (await speak(gateway)).status == 200
    await awake.stop()
    async with meanwhile(speak(gateway)) as asked:
        await asyncio.sleep(0.5)
        assert not asked.done()
        stage.put_pods("eu-central", await new_pod())
        answer = await asked
    assert (answer.status, answer.body) == (200, b"RIFFaudioend")


async def test_a_full_pod_s_own_answer_reaches_the_client(awake: Any, start_gateway: Any, speak: Any) -> None:
    async def full(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "full"}}, status=429, headers={"Retry-After": "9"})

    awake.before_headers = full
    answer = await speak(await start_gateway())
    assert (answer.status, answer.headers["Retry-After"], answer.error["message"]) == (429, "9", "full")
    assert answer.headers["Voxfleet-Region"] == "eu-central"


async def test_requests_are_served_while_the_api_server_is_away(
    stage: Any, awake: Any, new_pod: Any, start_gateway: Any, speak: Any, control_plane: Any
) -> None:
    gateway = await start_gateway()
    assert (await speak(gateway)).status == 200
    before = stage.lease("eu-central")["spec"]["renewTime"]
    await asyncio.to_thread(control_plane.run.stop, "kube-apiserver")
    try:
        for _ in range(5):
            assert (await speak(gateway)).status == 200
            await asyncio.sleep(0.2)
    finally:
        await asyncio.to_thread(control_plane.start_api_server)
    await gateway.until(lambda: stage.lease("eu-central")["spec"]["renewTime"] > before, "renewal")
    other = await new_pod()
    stage.put_pods("eu-central", other, ready=True)
    await awake.stop()
    assert (await speak(gateway)).status == 200
    assert len(other.served) == 1, "the watch goes on after the outage"


async def test_sigterm_lets_open_requests_end_and_refuses_held_ones(
    stage: Any, awake: Any, start_gateway: Any, speak: Any, meanwhile: Any, session: aiohttp.ClientSession
) -> None:
    async def slow(_number: int, _request: web.Request) -> None:
        await asyncio.sleep(0.7)

    awake.between_chunks = slow
    stage.put_lease("us-east")
    asleep = [stage.region("us-east", lease={"namespace": stage.demand, "name": "narrator-us-east"})]
    stage.put_model(asleep, name="sleeper", model="sleeper")
    gateway = await start_gateway()
    async with meanwhile(speak(gateway)) as open_request, meanwhile(speak(gateway, model="sleeper")) as held:
        await gateway.until(lambda: awake.served and stage.lease("us-east")["spec"].get("renewTime"), "both begun")
        gateway.terminate()
        while (await session.get(gateway.url("/health/ready"))).status != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (await open_request).body == b"RIFFaudioend"
        answer = await held
    assert (answer.status, answer.headers["Retry-After"], answer.error["code"]) == (503, "1", "gateway_draining")
    assert await asyncio.to_thread(gateway.process.wait, 60) == 0


async def test_a_new_gateway_serves_the_region_that_a_killed_one_woke(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any, meanwhile: Any
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    old = await start_gateway()
    async with meanwhile(speak(old)) as cut:
        await old.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "wake")
        old.stop()  # kill -9: the one case in which a held request's connection breaks
        with pytest.raises(aiohttp.ClientError):
            await cut
    new = await start_gateway()
    async with meanwhile(speak(new)) as asked:
        pod = await new_pod()
        stage.put_pods("eu-central", pod)
        assert (await asked).status == 200
