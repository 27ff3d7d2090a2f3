"""At a server alone, whatever is refused has the form of the protocol that it was asked in."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from voxfleet_protocols.errors import form_of, in_form

REQUESTS, SESSIONS = ("openai", "deepgram", "cartesia"), ("own", "vllm_omni", "deepgram", "cartesia")
KEY = {"Authorization": "Bearer secret"}


@pytest.fixture
def running(start_server: Any, tone_model: Any) -> Any:
    def start(**settings: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        return start_server(tone_model, model_name="m", max_input_characters=2000, **settings)  # type: ignore[no-any-return]

    return start


@pytest.fixture
async def keyed(running: Any, wait_until: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """A server with one API key, and with room for one request."""
    keys_file = tmp_path / "keys"
    keys_file.write_text(f"ada {hashlib.sha256(b'secret').hexdigest()}\n")
    async with running(max_batch_size=1, max_queued_requests=0, api_keys_file=keys_file) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        yield server


@contextlib.asynccontextmanager
async def only_place_taken(server: Any) -> AsyncIterator[None]:
    url = server.url.replace("http", "ws") + "/v1/audio/speech/stream"
    async with websockets.connect(url, additional_headers=KEY) as socket:
        await socket.send(json.dumps({"type": "session.start", "model": "m"}))
        await socket.recv()
        yield


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_each_fault_of_a_request_is_a_400_or_a_404(
    running: Any, refused: Any, wait_until: Any, protocol: str
) -> None:
    async with running() as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        for fault in refused.faults:
            response = await refused.request(server.url, protocol, fault)
            assert response.status_code == (404 if (protocol, fault) == ("openai", "model") else 400), fault
        await wait_until(lambda: server.load.open_requests == 0)


@pytest.mark.parametrize("protocol", SESSIONS)
async def test_each_fault_of_a_session_is_a_400_or_an_error_frame(
    running: Any, refused: Any, wait_until: Any, protocol: str
) -> None:
    async with running() as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        for fault in refused.session_faults(protocol):
            error = await refused.session(server.url, protocol, fault)
            assert error == 400 or error.get("status_code", 400) == 400, (fault, error)
        await wait_until(lambda: server.load.open_requests == 0)


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_a_missing_key_a_full_and_a_draining_server_have_the_form_of_a_request(
    keyed: Any, refused: Any, protocol: str
) -> None:
    response = await refused.request(keyed.url, protocol)
    assert (response.status_code, "www-authenticate" in response.headers) == (401, True)
    async with only_place_taken(keyed):
        response = await refused.request(keyed.url, protocol, **KEY)
        assert response.status_code in {429, 503}
        assert int(response.headers["retry-after"]) >= 1
    keyed.service.supervisor.drain(enabled=True)
    response = await refused.request(keyed.url, protocol, **KEY)
    assert (response.status_code, "retry-after" in response.headers) == (503, True)


@pytest.mark.parametrize("protocol", SESSIONS)
async def test_a_missing_key_a_full_and_a_draining_server_have_the_form_of_a_session(
    keyed: Any, refused: Any, protocol: str
) -> None:
    assert await refused.session(keyed.url, protocol) == 401
    async with only_place_taken(keyed):
        error = await refused.session(keyed.url, protocol, **KEY)
        assert error.get("status_code", 503) == 503, error
    keyed.service.supervisor.drain(enabled=True)
    assert await refused.session(keyed.url, protocol, **KEY) == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "protocol"),
    [
        ("GET", "/v1/speak", 426, "deepgram"),
        ("PUT", "/v1/speak", 405, "deepgram"),
        ("GET", "/tts/websocket/", 426, "cartesia"),
        ("GET", "/tts/bytes", 405, "cartesia"),
        ("GET", "/v1/audio/speech/stream", 426, "openai"),
        ("GET", "/v1/nothing", 404, "openai"),
    ],
)
async def test_a_path_without_the_method_has_its_protocol_s_form(
    server: Any, refused: Any, method: str, path: str, status: int, protocol: str
) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        response = await client.request(method, path)
        head = await client.head(path) if method == "GET" else response
    assert response.status_code == head.status_code == status
    refused.check(protocol, response.status_code, response.headers, response.content)


@pytest.mark.parametrize("body", [b"no JSON", b"", b"[1]", b'{"error": "text"}', b"\xff" * 1000])
def test_a_body_that_is_no_error_of_openai_s_form_is_the_message(body: bytes) -> None:
    form = form_of("/v1/speak")
    assert form is not None
    made = json.loads(in_form(form, body, "id"))
    assert (made["err_code"], made["request_id"]) == ("INVALID_QUERY_PARAMETER", "id")
    assert made["err_msg"] == body.decode(errors="replace")[:300]
