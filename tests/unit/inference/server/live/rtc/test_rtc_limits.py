"""What is rejected and with which status, and what ends a session whose client is gone or never comes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from voxfleet_inference.server.live.rtc import routes, sessions

PATH = "/v1/audio/speech/rtc"
LONG = {"input": "x" * 300 + " and more of it.", "seed": 1}


def sample(server: Any, name: str, **labels: str) -> float:
    return server.metrics.registry.get_sample_value(f"voxfleet_inference_{name}", labels) or 0.0


async def test_a_client_that_disconnects_ends_its_speech(server: Any, connect_rtc: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.02
    async with connect_rtc(server.url) as client:
        await client.offer(LONG)
        await client.receive("sentence.started")
    await wait_until(lambda: server.load.open_requests == 0)
    assert server.model.steps_taken < 300
    assert sample(server, "cancelled_requests_total") == 1


async def test_a_client_that_never_connects_loses_its_session(
    server: Any, connect_rtc: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_CONNECT_SECONDS", 0.2)
    async with connect_rtc(server.url) as client:
        client.connection.setRemoteDescription = _nothing
        assert (await client.offer(LONG)).status_code == 201
        await wait_until(lambda: sample(server, "rtc_unconnected_sessions_total") == 1)
        await wait_until(lambda: server.load.open_requests == 0)


async def _nothing(_answer: Any) -> None:
    """Take no answer: no check is sent."""


async def test_the_number_of_sessions_is_limited(
    start_server: Any, make_model: Any, connect_rtc: Any, wait_until: Any
) -> None:
    async with start_server(make_model(), max_rtc_sessions=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with connect_rtc(server.url) as first, connect_rtc(server.url) as second:
            assert (await first.offer()).status_code == 201
            rejected = await second.offer()
        assert rejected.status_code == 503
        assert rejected.json()["error"]["code"] == "sessions_full"
        assert "1 WebRTC sessions are open; the limit is 1" in rejected.text
        assert rejected.headers["retry-after"]
        await wait_until(lambda: server.load.open_requests == 0)


@pytest.mark.parametrize(
    ("setting", "code"), [("session_idle_seconds", "session_idle"), ("max_request_seconds", "session_too_long")]
)
async def test_an_idle_session_and_a_long_one_end_with_an_error(
    start_server: Any, make_model: Any, connect_rtc: Any, wait_until: Any, setting: str, code: str
) -> None:
    async with start_server(make_model(), **{setting: 0.5}) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with connect_rtc(server.url) as client:
            await client.offer({"seed": 1})
            assert (await client.receive("error"))["error"]["code"] == code
        await wait_until(lambda: server.load.open_requests == 0)


async def test_a_server_that_drains_speaks_what_it_has_and_ends(server: Any, connect_rtc: Any, wait_until: Any) -> None:
    async with connect_rtc(server.url) as client:
        await client.offer({"input": "Said to the end.", "seed": 1})
        await client.receive("sentence.started")
        server.service.supervisor.drain(enabled=True)
        assert (await client.receive("session.done"))["usage"]["output_tokens"] == 16
        async with connect_rtc(server.url) as late:
            assert (await late.offer()).status_code == 503
    await wait_until(lambda: server.load.open_requests == 0)


async def test_a_key_is_needed_where_one_is_set(
    tmp_path: Path, start_server: Any, make_model: Any, connect_rtc: Any, wait_until: Any
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ada {hashlib.sha256(b'secret').hexdigest()}\n")
    async with start_server(make_model(), api_keys_file=keys) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with connect_rtc(server.url) as client:
            assert (await client.offer()).status_code == 401


async def test_wrong_offers_are_rejected_and_leave_nothing_open(server: Any, wait_until: Any) -> None:
    sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=application 9 x y\r\n"
    start = {"type": "session.start", "model": "other"}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        assert (await http.post(PATH, json={"sdp": "nonsense"})).status_code == 400
        unknown = await http.post(PATH, json={"sdp": sdp, "messages": [start]})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
        broken = await http.post(PATH, content=sdp, headers={"Content-Type": "application/sdp"})
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_sdp")
        assert (await http.delete(f"{PATH}/unknown")).status_code == 404
        assert (await http.get(PATH)).json()["object"] == "rtc"
    await wait_until(lambda: server.load.open_requests == 0)


async def test_a_server_without_the_extra_says_how_to_get_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "find_spec", lambda _name: None)
    async with httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.post(PATH, json={})
        assert answer.status_code == (await http.get(PATH)).status_code == 501
    assert "pip install 'voxfleet[inference,webrtc]'" in answer.json()["error"]["message"]


async def test_a_server_may_offer_none(start_server: Any, make_model: Any) -> None:
    async with start_server(make_model(), max_rtc_sessions=0) as server, httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.get(PATH)
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "rtc_not_offered")


async def test_a_page_gets_the_ice_servers_of_the_settings(start_server: Any, make_model: Any) -> None:
    servers = [{"urls": ["turn:turn.example.com"], "username": "ada", "credential": "c"}]
    async with (
        start_server(make_model(), rtc_ice_servers=json.dumps(servers)) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
    ):
        assert (await http.get(PATH)).json()["ice_servers"] == servers


async def test_a_revoked_key_ends_its_session(
    tmp_path: Path, start_server: Any, make_model: Any, connect_rtc: Any, wait_until: Any
) -> None:
    keys = tmp_path / "keys"
    lines = [f"ada {hashlib.sha256(secret).hexdigest()}\n" for secret in (b"old", b"new")]
    keys.write_text("".join(lines))
    async with start_server(make_model(), api_keys_file=keys) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with connect_rtc(server.url) as rotated, connect_rtc(server.url) as kept:
            for client, secret in ((rotated, "old"), (kept, "new")):
                assert (await client.offer({"seed": 1}, {"Authorization": f"Bearer {secret}"})).status_code == 201
                await client.receive("session.started")
            keys.write_text(lines[1])
            assert (await rotated.receive("error"))["error"]["code"] == "invalid_api_key"
            await wait_until(lambda: server.load.open_requests == 1)
            kept.send("text.append", text="Still here.")
            kept.send("session.end")
            await kept.receive("session.done")
        await wait_until(lambda: server.load.open_requests == 0)
