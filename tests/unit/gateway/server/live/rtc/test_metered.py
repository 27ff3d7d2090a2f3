"""WebRTC sessions of tenants: what the pod asks for is charged like a WebSocket's text, and the session is settled."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

PATH = "/v1/audio/speech/rtc"
TEXT = "Good morning."
START = {"type": "session.start", "model": "m", "voice": "v"}
OFFER = {"type": "offer", "sdp": "v=0", "messages": [START, {"type": "text.append", "text": TEXT}]}
AUDIO_LIMIT = {"audioSecondsPerMinute": 3}  # 40 characters of text


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def offering(there: Any, key: str = "all") -> AsyncIterator[Any]:
    """Yield what offers once more and returns status and error code."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{there.port}", headers=headers) as session:

        async def offer() -> tuple[int, str | None]:
            async with session.post(PATH, json=OFFER) as answer:
                return answer.status, ((await answer.json()).get("error") or {}).get("code")

        yield offer


async def test_text_of_the_data_channel_is_charged_refused_and_settled(keyed: Any, rtc_pod: Any) -> None:
    async with (
        rtc_pod(201) as (pod, pod_port),
        keyed(pod_port, limits=AUDIO_LIMIT) as there,
        offering(there) as offer,
    ):
        assert await offer() == (201, None)
        assert pod.headers[0]["Voxfleet-Rtc-Account"] == "a1"
        assert await pod.says(type="text", text="x" * 20) == {"type": "admitted"}
        refused = await pod.says(type="text", text="x" * 20)
        assert (refused["type"], refused["error"]["code"]) == ("refused", "rate_limit_exceeded")
        assert refused["error"]["type"] == "rate_limit_error"
        assert refused["retry_after_seconds"] > 0
        assert there.lines == [], "while the session is open"
        await pod.accounts[-1].send_json({"type": "done", "spoken_seconds": 0.5})
        await until(lambda: there.lines)
        assert await offer() == (201, None), "settled by what was spoken"
        assert await pod.says(type="text", text="x" * 20) == {"type": "admitted"}
    used = there.lines[0]
    assert (used["audio_seconds"], used["audio_seconds_source"], used["characters"]) == (0.5, "server", 13 + 20)
    assert (used["status"], used["truncated"], used["key_id"]) == (201, False, "k-all")


async def test_an_open_session_is_an_open_request(keyed: Any, rtc_pod: Any) -> None:
    async with (
        rtc_pod(201) as (pod, pod_port),
        keyed(pod_port, limits={"concurrentRequests": 1}) as there,
        offering(there) as offer,
    ):
        assert await offer() == (201, None)
        assert await offer() == (429, "rate_limit_exceeded")
        await pod.accounts[-1].send_json({"type": "done", "spoken_seconds": 1.0})
        await until(lambda: pod.ended == 1)
        await until(lambda: len(there.lines) == 2)
        assert await offer() == (201, None)
        (pod_state,) = there.gateway.fleet.regions[next(iter(there.gateway.fleet.regions))].pods.values()
        assert pod_state.open_requests == 1, "as a WebSocket's, so that a drain waits for it"


async def test_a_pod_that_is_gone_is_charged_by_the_estimate(keyed: Any, rtc_pod: Any) -> None:
    async with rtc_pod(201) as (pod, pod_port), keyed(pod_port, limits=AUDIO_LIMIT) as there, offering(there) as offer:
        await offer()
        await pod.says(type="text", text="x" * 10)
        await pod.accounts[-1].close()
        await until(lambda: there.lines)
    used = there.lines[0]
    assert (used["audio_seconds_source"], used["audio_seconds"]) == ("estimate", pytest.approx(0.075 * 23))
    assert used["truncated"]


@pytest.mark.parametrize("seconds", [-1, "1", None, 1e999])
async def test_a_report_that_is_no_length_is_not_believed(keyed: Any, rtc_pod: Any, seconds: Any) -> None:
    async with rtc_pod(201) as (pod, pod_port), keyed(pod_port) as there, offering(there) as offer:
        await offer()
        await pod.accounts[-1].send_str(json.dumps({"type": "done", "spoken_seconds": seconds}))
        await pod.accounts[-1].close()
        await until(lambda: there.lines)
    assert there.lines[0]["audio_seconds_source"] == "estimate"


@pytest.mark.parametrize("statuses", [(501,), (400,)])
async def test_an_offer_without_a_session_leaves_no_account_open(
    keyed: Any, rtc_pod: Any, statuses: tuple[int, ...]
) -> None:
    async with (
        rtc_pod(*statuses) as (pod, pod_port),
        keyed(pod_port, limits={"concurrentRequests": 1}) as there,
        offering(there) as offer,
    ):
        for _ in range(2):
            assert (await offer())[0] == statuses[0]
        await until(lambda: pod.ended == 2)
        assert not there.gateway.live.sessions


async def test_a_full_pod_gets_another_account_with_the_next_offer(keyed: Any, rtc_pod: Any) -> None:
    async with rtc_pod(503, 201) as (pod, pod_port), keyed(pod_port) as there, offering(there) as offer:
        assert await offer() == (201, None)
        assert [each["Voxfleet-Rtc-Account"] for each in pod.headers] == ["a1", "a2"]
        await until(lambda: pod.ended == 1)


@pytest.mark.parametrize("limits", [AUDIO_LIMIT, {}])
async def test_a_pod_without_accounts_gets_no_offer_of_a_tenant(keyed: Any, rtc_pod: Any, limits: Any) -> None:
    async with (
        rtc_pod(201, has_accounts=False) as (pod, pod_port),
        keyed(pod_port, limits=limits) as there,
        offering(there) as offer,
    ):
        for _ in range(3):
            assert await offer() == (501, "rtc_not_metered"), "no failure of the pod"
        assert pod.offers == []


async def test_a_revoked_key_ends_its_sessions(keyed: Any, rtc_pod: Any, tmp_path: Path) -> None:
    async with rtc_pod(201) as (pod, pod_port), keyed(pod_port) as there:
        async with offering(there) as revoked, offering(there, "op") as kept:
            await revoked()
            await kept()
        (tmp_path / "k-all.json").unlink()
        there.gateway.speech.accounts.store.reload()
        watching = asyncio.create_task(there.gateway.live.run())
        await until(lambda: pod.answers)
        assert (pod.answers[0]["type"], pod.answers[0]["error"]["code"]) == ("end", "invalid_api_key")
        await pod.accounts[0].send_json({"type": "done", "spoken_seconds": 0.25})
        await until(lambda: pod.ended == 1)
        (session,) = there.gateway.live.sessions
        assert session.context.caller.key_id == "k-op"
        watching.cancel()
    first = there.lines[0]
    assert (first["status"], first["truncated"], first["audio_seconds"]) == (401, True, 0.25)


async def test_a_revoked_key_ends_its_websocket(keyed: Any, live: Any, tmp_path: Path) -> None:
    pod = live.pod(live.speak)
    async with live.listening(pod) as (pod_port,), keyed(pod_port) as there:
        headers = {"Authorization": "Bearer all"}
        async with live.client(there.port, additional_headers=headers) as socket:
            await live.send(socket, live.start)
            assert json.loads(await socket.recv())["type"] == "session.started"
            (tmp_path / "k-all.json").unlink()
            there.gateway.speech.accounts.store.reload()
            watching = asyncio.create_task(there.gateway.live.run())
            events, code = await live.read_all(socket)
        watching.cancel()
        await until(lambda: there.lines)
    assert ([each["error"]["code"] for each in events], code) == (["invalid_api_key"], 1008)
    assert (there.lines[0]["status"], there.lines[0]["truncated"]) == (401, True)


async def test_a_long_text_of_another_script_is_answered(keyed: Any, rtc_pod: Any) -> None:
    async with rtc_pod(201) as (pod, pod_port), keyed(pod_port) as there, offering(there) as offer:
        await offer()
        assert await pod.says(type="text", text="声" * 20_000) == {"type": "admitted"}, "120,000 characters of JSON"


async def test_a_gateway_that_stops_ends_its_sessions(keyed: Any, rtc_pod: Any) -> None:
    async with rtc_pod(201) as (pod, pod_port), keyed(pod_port) as there, offering(there) as offer:
        await offer()
        with contextlib.suppress(asyncio.CancelledError):
            stopping = asyncio.create_task(there.gateway.live.stop(None))
            await until(lambda: pod.answers)
            assert pod.answers[0]["error"]["code"] == "gateway_draining"
            await pod.accounts[0].send_json({"type": "done", "spoken_seconds": 0.25})
            await stopping
        assert not there.gateway.live.sessions
