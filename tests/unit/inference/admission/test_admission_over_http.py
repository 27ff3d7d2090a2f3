"""Limits, keys, tenants and preferences over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import websockets
from websockets.exceptions import InvalidStatus

SPEECH = {"model": "voxcpm-1.5", "input": "A sentence.", "voice": "default", "response_format": "pcm"}


async def post(server: Any, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        return await client.post("/v1/audio/speech", json={**SPEECH, **changes}, headers=headers)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(
        "".join(f"{name} {hashlib.sha256(f'key of {name}'.encode()).hexdigest()}\n" for name in ("ada", "ben"))
    )
    return file


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer key of {name}"}


async def test_without_a_known_key_speech_is_401_and_health_and_page_need_none(
    start_server: Any, make_model: Any, wait_until: Any, keys_file: Path
) -> None:
    async with start_server(make_model(), api_keys_file=keys_file) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        missing, wrong, basic = (
            await post(server),
            await post(server, bearer("eve")),
            await post(server, {"Authorization": "Basic x"}),
        )
        assert [each.status_code for each in (missing, wrong, basic)] == [401, 401, 401]
        assert missing.headers["www-authenticate"] == 'Bearer realm="voxfleet"'
        assert wrong.headers["www-authenticate"] == 'Bearer realm="voxfleet", error="invalid_token"'
        assert wrong.json()["error"]["code"] == "invalid_api_key"
        assert "x-request-id" in missing.headers
        assert (await post(server, bearer("ada"))).status_code == 200
        async with httpx.AsyncClient(base_url=server.url) as client:
            free = [(await client.get(path)).status_code for path in ("/", "/health/live", "/health/ready")]
            assert free == [200, 200, 200]
            assert (await client.get("/v1/models")).status_code == 401
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as stranger:
            with pytest.raises(openai.AuthenticationError):
                await stranger.models.list()
        with pytest.raises(InvalidStatus) as caught:
            await websockets.connect(f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream")
        assert caught.value.response.status_code == 401


KEY_OF_ADA, WRONG_KEY = "sk-1234567890abcdef", "sk-fedcba0987654321"  # a subprotocol is a token: no space, no =


@pytest.fixture
def browser_keys(tmp_path: Path) -> Path:
    file = tmp_path / "browser_keys"
    file.write_text(f"ada {hashlib.sha256(KEY_OF_ADA.encode()).hexdigest()}\n")
    return file


async def test_a_browser_sends_its_key_as_a_subprotocol_and_no_response_repeats_it(
    start_server: Any, make_model: Any, wait_until: Any, browser_keys: Path
) -> None:
    async with start_server(make_model(), api_keys_file=browser_keys) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
        offers = ["realtime", f"openai-insecure-api-key.{KEY_OF_ADA}", "openai-beta.realtime-v1"]
        async with websockets.connect(url, subprotocols=offers) as socket:  # type: ignore[arg-type]
            assert socket.subprotocol == "realtime"
            assert socket.response is not None
            assert KEY_OF_ADA not in str(socket.response.headers)
            await socket.send(json.dumps({"type": "session.start", "model": "voxcpm-1.5", "response_format": "pcm"}))
            assert json.loads(await socket.recv())["type"] == "session.started"
            [permit] = server.service.tracker._limiter._open
            assert permit.caller.tenant == "ada"
        async with websockets.connect(url, subprotocols=offers[1:2]) as socket:  # type: ignore[arg-type]
            assert socket.subprotocol is None


@pytest.mark.parametrize(
    ("offers", "code"),
    [
        (["realtime"], "missing_api_key"),
        (["realtime", "openai-insecure-api-key."], "missing_api_key"),
        (["realtime", f"openai-insecure-api-key.{WRONG_KEY}"], "invalid_api_key"),
        (["realtime", KEY_OF_ADA], "missing_api_key"),
    ],
)
async def test_a_socket_without_a_known_key_is_rejected_and_the_log_has_no_key(
    start_server: Any, make_model: Any, wait_until: Any, browser_keys: Path, offers: list[str], code: str, logged: Any
) -> None:
    async with start_server(make_model(), api_keys_file=browser_keys, log_level="debug") as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
        with pytest.raises(InvalidStatus) as caught:
            await websockets.connect(url, subprotocols=offers)  # type: ignore[arg-type]
        assert caught.value.response.status_code == 401
        assert code.encode() in (caught.value.response.body or b"")
        known = ["realtime", f"openai-insecure-api-key.{KEY_OF_ADA}"]
        async with websockets.connect(url, subprotocols=known):  # type: ignore[arg-type]
            pass
        await wait_until(lambda: '"event": "session"' in logged())
    assert not [secret for secret in (KEY_OF_ADA, WRONG_KEY) if secret in logged()]
    assert "handshake" not in logged()  # uvicorn calls a rejection by an HTTP response an error


async def test_a_server_without_keys_ignores_one_and_still_selects_a_subprotocol(server: Any) -> None:
    url = f"ws://127.0.0.1:{server.port}/v1/audio/speech/stream"
    for offers in (["realtime", "openai-insecure-api-key.anything"], ["realtime"]):
        async with websockets.connect(url, subprotocols=offers) as socket:  # type: ignore[arg-type]
            assert socket.subprotocol == "realtime"
    async with websockets.connect(url) as socket:
        assert socket.subprotocol is None


async def test_a_tenant_over_its_share_gets_429_while_others_are_served(
    start_server: Any, make_model: Any, wait_until: Any, keys_file: Path
) -> None:
    model = make_model()
    async with start_server(model, api_keys_file=keys_file, max_batch_size=2, max_queued_requests=2) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        open_ones = [asyncio.create_task(post(server, bearer(name))) for name in ("ben", "ada", "ada")]
        await wait_until(lambda: server.load.open_requests == 3)
        refused = await post(server, bearer("ada"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        open_ones += [asyncio.create_task(post(server, bearer("ben")))]
        await wait_until(lambda: server.load.open_requests == 4)
        full = await post(server, bearer("ada"))
        assert (full.status_code, full.json()["error"]["code"]) == (503, "queue_full")
        model.gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*open_ones)} == {200}
        await wait_until(lambda: server.load.open_requests == 0)
        assert server.load.queued_audio_seconds == 0.0


async def test_a_single_tenant_may_use_the_whole_queue(
    start_server: Any, make_model: Any, wait_until: Any, keys_file: Path
) -> None:
    model = make_model()
    async with start_server(model, api_keys_file=keys_file, max_batch_size=2, max_queued_requests=2) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        open_ones = [asyncio.create_task(post(server, bearer("ada"))) for _ in range(4)]
        await wait_until(lambda: server.load.open_requests == 4)
        refusals = [await post(server, bearer(name)) for name in ("ada", "ben")]
        assert [each.json()["error"]["code"] for each in refusals] == ["queue_full", "queue_full"]
        model.gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*open_ones)} == {200}


async def test_the_queue_is_limited_in_audio_too(start_server: Any, make_model: Any, wait_until: Any) -> None:
    model = make_model()
    async with start_server(model, max_queued_audio_seconds=30) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        first = asyncio.create_task(post(server, input="word " * 70))
        await wait_until(lambda: server.load.open_requests == 1)
        refused = await post(server, input="word " * 70)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
        assert "s of audio and this one would add" in refused.json()["error"]["message"]
        model.gate.set()
        assert (await first).status_code == 200


async def test_gateway_headers_count_only_where_they_are_trusted(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    for trusts in (True, False):
        async with start_server(make_model(), trust_gateway_headers=trusts) as server:
            await wait_until(lambda: server.lifecycle.is_ready)
            answer = await post(server, {"Voxfleet-Tenant": "acme", "Voxfleet-Priority": "urgent"})
            assert answer.status_code == (400 if trusts else 200)


async def test_a_gateways_priority_reaches_the_engine(start_server: Any, make_model: Any, wait_until: Any) -> None:
    async with start_server(make_model(), trust_gateway_headers=True) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        submitted: list[Any] = []
        speak = server.service.supervisor.engine.speak

        def listen(sentence: Any, *rest: Any) -> Any:
            submitted.append(sentence)
            return speak(sentence, *rest)

        server.service.supervisor.engine.speak = listen
        answer = await post(server, {"Voxfleet-Tenant": "acme", "Voxfleet-Priority": "7"})
        assert answer.status_code == 200
        assert [sentence.params.priority for sentence in submitted] == [7]
        assert 3000 < submitted[0].params.deadline_seconds <= 3600


async def test_prefer_wait_limits_the_time_to_the_first_byte(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with start_server(model, max_batch_size=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        late = await post(server, {"Prefer": "respond-async, wait=1"}, input="never spoken to its end")
        assert (late.status_code, late.json()["error"]["code"]) == (503, "wait_exceeded")
        assert 1 <= int(late.headers["retry-after"]) <= 60
        assert server.load.open_requests == 0
        model.gate.set()
        before = model.steps_taken
        in_time = await post(server, {"Prefer": "wait=60"})
        assert (in_time.status_code, in_time.headers["preference-applied"]) == (200, "wait=60")
        assert model.steps_taken - before < len(SPEECH["input"]) + 10
        assert "preference-applied" not in (await post(server)).headers


async def test_a_stream_that_has_begun_may_take_longer_than_the_wait(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with start_server(model) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.step_seconds = 0.25
        answer = await post(server, {"Prefer": "wait=3"}, input="fourteen steps", sample_rate=44100)
        assert (answer.status_code, len(answer.content)) == (200, 14 * 7056 * 2)
