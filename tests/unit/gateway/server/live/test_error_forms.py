"""At a gateway, whatever it or a pod refuses has the form of the protocol that it was asked in."""

import json
from typing import Any

import pytest

REQUESTS, SESSIONS = ("openai", "deepgram", "cartesia"), ("own", "vllm_omni", "deepgram", "cartesia")
NAMED = {"voices": {"alloy": "default"}}
ERROR = {"message": "'voice' must be another", "type": "invalid_request_error", "param": "voice", "code": "of_the_pod"}


def pod_refusing(wire: Any, status: int, headers: str = "", error: dict[str, Any] = ERROR) -> Any:
    """Return a pod that refuses every request, as a server does."""
    body = json.dumps({"error": error}).encode()
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return wire.pod(head.encode() + body)


def other_model(gateway: Any) -> None:
    """Add a second model, so that no name means the only one."""
    registry = gateway.fleet.registry()
    (model,) = registry.entries.values()
    registry.put(model.model_copy(update={"name": "other", "model": "o", "voices": {}}))


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_each_fault_of_a_request_is_a_400_or_a_404(wire: Any, refused: Any, tmp_path: Any, protocol: str) -> None:
    pod, settings = pod_refusing(wire, 400), {"voices_dir": str(tmp_path)}
    async with wire.gateway(pod, named=NAMED, settings=settings) as (port, gateway):
        other_model(gateway)
        for fault in refused.faults:
            response = await refused.request(f"http://127.0.0.1:{port}", protocol, fault)
            assert response.status_code == (404 if (protocol, fault) == ("openai", "model") else 400), fault
            assert response.headers["voxfleet-region"] == "eu"
            assert "of_the_pod" not in response.text, "what a server would refuse wakes no pod"


@pytest.mark.parametrize("protocol", SESSIONS)
async def test_each_fault_of_a_session_is_a_400_or_an_error_frame(
    wire: Any, live: Any, refused: Any, tmp_path: Any, protocol: str
) -> None:
    async def refuse(pod: Any, socket: Any) -> None:
        await pod.next(socket)
        await socket.send(json.dumps({"type": "error", "error": ERROR}))
        await socket.close(1011)

    settings = {"voices_dir": str(tmp_path)}
    async with (
        live.listening(live.pod(refuse)) as ports,
        wire.gateway(*ports, named=NAMED, settings=settings) as opened,
    ):
        other_model(opened[1])
        for fault in refused.session_faults(protocol):
            error = await refused.session(f"http://127.0.0.1:{opened[0]}", protocol, fault)
            assert error == 400 or error.get("status_code", 400) == 400, (fault, error)


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_a_missing_key_and_a_reached_limit_have_the_form_of_a_request(
    wire: Any, keyed: Any, refused: Any, protocol: str
) -> None:
    async with keyed(wire.speaking(), named=NAMED, limits={"requests_per_second": 0.01, "burst": 1}) as gateway:
        url, key = f"http://127.0.0.1:{gateway.port}", {"Authorization": "Bearer all"}
        response = await refused.request(url, protocol)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer realm="voxfleet"')
        await gateway.speak(response_format="wav")
        response = await refused.request(url, protocol, **key)
        assert (response.status_code, "retry-after" in response.headers) == (429, True)


@pytest.mark.parametrize("protocol", SESSIONS)
async def test_a_missing_key_and_a_reached_limit_have_the_form_of_a_session(
    wire: Any, keyed: Any, refused: Any, protocol: str
) -> None:
    async with keyed(wire.speaking(), named=NAMED, limits={"requests_per_second": 0.01, "burst": 1}) as gateway:
        url, key = f"http://127.0.0.1:{gateway.port}", {"Authorization": "Bearer all"}
        assert await refused.session(url, protocol) == 401
        await gateway.speak(response_format="wav")
        error = await refused.session(url, protocol, **key)
        assert error == 429 or error["status_code"] == 429, error


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_a_sleeping_and_a_suspended_region_have_the_form_of_a_request(
    wire: Any, refused: Any, protocol: str
) -> None:
    async with wire.gateway(named=NAMED) as (port, _):
        response = await refused.request(f"http://127.0.0.1:{port}", protocol, Prefer="wait=1")
        assert (response.status_code, "retry-after" in response.headers) == (503, True)
    async with wire.gateway(named=NAMED, suspended=True) as (port, _):
        assert (await refused.request(f"http://127.0.0.1:{port}", protocol)).status_code == 503


@pytest.mark.parametrize("protocol", SESSIONS)
async def test_a_sleeping_and_a_suspended_region_have_the_form_of_a_session(
    wire: Any, refused: Any, protocol: str
) -> None:
    async with wire.gateway(named=NAMED) as (port, _):
        error = await refused.session(f"http://127.0.0.1:{port}", protocol, Prefer="wait=1")
        assert error == 503 or error.get("status_code", 503) == 503, error
    async with wire.gateway(named=NAMED, suspended=True) as (port, _):
        error = await refused.session(f"http://127.0.0.1:{port}", protocol)
        assert error == 503 or error.get("status_code", 503) == 503, error


@pytest.mark.parametrize("protocol", REQUESTS)
@pytest.mark.parametrize(
    ("status", "headers", "retry_after"),
    [(400, "", None), (404, "", None), (500, "", "5"), (503, "Retry-After: 7\r\n", "7")],
)
async def test_a_pod_s_own_error_has_the_form_of_the_request(
    wire: Any, refused: Any, protocol: str, status: int, headers: str, retry_after: str | None
) -> None:
    pod = pod_refusing(wire, status, headers, {**ERROR, "type": "server_error"})
    async with wire.gateway(pod, named=NAMED) as (port, gateway):
        gateway.speech.budget.balance = 0.0
        response = await refused.request(f"http://127.0.0.1:{port}", protocol, Prefer="wait=1")
    assert (response.status_code, "of_the_pod" in response.text) == (status, True)
    assert response.headers.get("retry-after") == retry_after
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "protocol", "allow"),
    [
        ("GET", "/v1/speak", 426, "deepgram", None),
        ("PUT", "/v1/speak/", 405, "deepgram", "GET, HEAD, POST"),
        ("PUT", "/v1/speak//", 405, "deepgram", "GET, HEAD, POST"),
        ("GET", "/tts/websocket", 426, "cartesia", None),
        ("GET", "/tts/bytes", 405, "cartesia", "POST"),
        ("GET", "/v1/audio/speech/stream", 426, "openai", None),
        ("GET", "/v1/audio/speech", 405, "openai", "POST"),
        ("PATCH", "/v1/audio/voices///", 405, "openai", "GET, HEAD, POST"),
        ("PUT", "/v1/audio/voices/voice_1", 405, "openai", "DELETE, GET, HEAD"),
    ],
)
async def test_a_path_without_the_method_has_its_protocol_s_form(
    wire: Any, refused: Any, method: str, path: str, status: int, protocol: str, allow: str | None
) -> None:
    async with wire.gateway() as (port, _):
        head = f"{method} {path} HTTP/1.1\r\nHost: g\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        answer, _ = await wire.send(port, head.encode())
    lines, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines.decode().split("\r\n")[1:])
    assert lines.split(b" ")[1] == str(status).encode()
    refused.check(protocol, status, headers, body)
    assert headers.get("allow") == (allow and allow.lower())
