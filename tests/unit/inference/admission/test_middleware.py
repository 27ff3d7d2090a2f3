"""Requests that browsers send for other pages, for the server's own page, and for allowed ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import InvalidStatus

SPEECH = {"model": "voxcpm-1.5", "input": "A sentence.", "voice": "default", "response_format": "pcm"}
EVIL, APP = "https://evil.example", "https://app.example.com"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    "Access-Control-Request-Private-Network": "true",
}


@pytest.fixture(params=["", APP])
async def site(
    request: pytest.FixtureRequest, start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> AsyncIterator[Any]:
    """A server that requires no key."""
    async with start_server(make_model(), allowed_origins=request.param, voices_dir=tmp_path) as running:
        await wait_until(lambda: running.lifecycle.is_ready)
        yield running


def browser(server: Any, origin: str) -> httpx.AsyncClient:
    """A client that sends the headers of a page of this origin."""
    return httpx.AsyncClient(base_url=server.url, timeout=60, headers={"Origin": origin})


def is_allowed(server: Any) -> bool:
    return bool(server.service.settings.allowed_origins)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/audio/speech", {"json": SPEECH}),
        ("POST", "/v1/audio/speech", {"content": b'{"model":"voxcpm-1.5"}', "headers": {"Content-Type": "text/plain"}}),
        ("POST", "/v1/audio/voices", {"files": {"audio_sample": b"x"}}),
        ("DELETE", "/v1/audio/voices/voice_" + "0" * 32, {}),
        ("OPTIONS", "/v1/audio/speech", {"headers": PREFLIGHT}),
    ],
)
async def test_another_page_has_no_effect_and_costs_no_step(
    site: Any, method: str, path: str, body: dict[str, Any]
) -> None:
    steps = site.model.steps_taken
    async with browser(site, EVIL) as page:
        answer = await page.request(method, path, **body)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "origin_not_allowed"
    assert repr(EVIL) in error["message"]
    assert "--allowed-origins" in error["message"]
    assert "access-control-allow-origin" not in answer.headers
    assert (site.model.steps_taken, site.load.open_requests) == (steps, 0)


async def test_another_page_cannot_read_the_response_to_get(site: Any) -> None:
    async with browser(site, EVIL) as page:
        for path in ("/v1/models", "/v1/audio/voices"):
            answer = await page.get(path)
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers


async def test_programs_send_no_origin_and_are_admitted(site: Any) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as program:
        assert (await program.post("/v1/audio/speech", json=SPEECH)).status_code == 200
    async with websockets.connect(f"ws://127.0.0.1:{site.port}/v1/audio/speech/stream"):
        pass


async def test_the_servers_own_page_is_admitted(site: Any) -> None:
    async with browser(site, site.url) as page:
        assert (await page.post("/v1/audio/speech", json=SPEECH)).status_code == 200
    socket = f"ws://127.0.0.1:{site.port}/v1/audio/speech/stream"
    async with websockets.connect(socket, origin=site.url):  # type: ignore[arg-type]
        pass


async def test_behind_a_proxy_that_terminates_tls_the_own_page_is_admitted(site: Any) -> None:
    public = "https://tts.example.com"
    async with browser(site, public) as page:
        kept = await page.post("/v1/audio/speech", json=SPEECH, headers={"Host": "tts.example.com"})
        judged = await page.post("/v1/audio/speech", json=SPEECH, headers={"Sec-Fetch-Site": "same-origin"})
        claimed = await page.post("/v1/audio/speech", json=SPEECH, headers={"X-Forwarded-Host": "tts.example.com"})
    assert [kept.status_code, judged.status_code, claimed.status_code] == [200, 200, 403]


async def test_a_rebound_dns_name_is_not_the_servers_own(site: Any) -> None:
    async with browser(site, f"http://rebound.evil.example:{site.port}") as page:
        host = {"Host": f"rebound.evil.example:{site.port}"}
        assert (await page.post("/v1/audio/speech", json=SPEECH, headers=host)).status_code == 403


async def test_a_socket_of_another_page_is_rejected_before_it_opens(site: Any) -> None:
    socket = f"ws://127.0.0.1:{site.port}/v1/audio/speech/stream"
    with pytest.raises(InvalidStatus) as caught:
        await websockets.connect(socket, origin=EVIL)  # type: ignore[arg-type]
    assert caught.value.response.status_code == 403
    assert b"origin_not_allowed" in caught.value.response.body
    if is_allowed(site):
        async with websockets.connect(socket, origin=APP):  # type: ignore[arg-type]
            pass


async def test_an_allowed_page_gets_its_preflight_its_audio_and_its_errors(site: Any) -> None:
    async with browser(site, APP) as page:
        preflight = await page.options("/v1/audio/speech", headers=PREFLIGHT)
        spoken = await page.post("/v1/audio/speech", json=SPEECH)
        wrong = await page.post("/v1/audio/speech", json={**SPEECH, "speed": 99})
        read = await page.get("/v1/models")
    if not is_allowed(site):
        assert [each.status_code for each in (preflight, spoken, wrong, read)] == [403, 403, 403, 200]
        return
    assert [each.status_code for each in (preflight, spoken, wrong, read)] == [200, 200, 400, 200]
    for answer in (preflight, spoken, wrong, read):
        assert answer.headers["access-control-allow-origin"] == APP
        assert "Origin" in answer.headers["vary"]
    assert "x-stainless-lang" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-private-network"] == "true"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    exposed = spoken.headers["access-control-expose-headers"].split(", ")
    assert {"Voxfleet-Seed", "Voxfleet-Sample-Rate", "X-Request-Id", "Retry-After"} <= set(exposed)
    assert "access-control-allow-credentials" not in spoken.headers


async def test_an_allowed_page_can_read_that_its_key_is_missing(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ada {'0' * 64}\n")
    async with start_server(make_model(), allowed_origins="*", api_keys_file=keys) as running:
        await wait_until(lambda: running.lifecycle.is_ready)
        async with browser(running, EVIL) as page:
            assert (await page.options("/v1/audio/speech", headers=PREFLIGHT)).status_code == 200
            refused = await page.post("/v1/audio/speech", json=SPEECH)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "*"
