"""Where a request's key is read from, and which requests need none or count against limits."""

import pytest
from aiohttp.test_utils import make_mocked_request
from voxfleet_gateway.server.requests.authentication import SPILLED, is_catalog, needs_admission, presented_key


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, ""),
        ({"Authorization": "Bearer vf-1"}, "vf-1"),
        ({"Authorization": "bearer  vf-1 "}, "vf-1"),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Basic dXNlcg=="}, ""),
        ({"Authorization": "vf-1"}, ""),
        ({"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.vf-1"}, "vf-1"),
        ({"Sec-WebSocket-Protocol": "realtime"}, ""),
        ({"Sec-WebSocket-Protocol": "token, vf-1"}, "vf-1"),
        ({"Sec-WebSocket-Protocol": "bearer, vf-1"}, "vf-1"),
        ({"Sec-WebSocket-Protocol": "token"}, ""),
        ({"Sec-WebSocket-Protocol": "vf-1, token"}, ""),
        ({"Sec-WebSocket-Protocol": "x-openai-insecure-api-key.vf-1"}, ""),
        ({"Authorization": "Bearer vf-1", "Sec-WebSocket-Protocol": "openai-insecure-api-key.vf-2"}, "vf-1"),
        ({"Authorization": "Token vf-1"}, "vf-1"),
        ({"Authorization": "Basic vf-1"}, ""),
        ({"Voxfleet-Tenant": "acme", "X-Api-Key": "vf-1"}, "vf-1"),
        ({"Voxfleet-Tenant": "acme", "Voxfleet-Key": "vf-1"}, ""),
    ],
)
def test_a_key_is_a_bearer_token_or_a_subprotocol(headers: dict[str, str], key: str) -> None:
    request = make_mocked_request("GET", "/v1/audio/speech/stream", headers=headers)
    assert presented_key(request) == key
    assert SPILLED not in request, "only the port for peers reads what another gateway says"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/models", True),
        ("HEAD", "/v1/models", True),
        ("GET", "/v1/models/d/n", True),
        ("GET", "/v1/audio/voices", True),
        ("GET", "/v1/audio/voices/voice_1", False),
        ("POST", "/v1/audio/voices", False),
        ("DELETE", "/v1/models/d/n", False),
        ("POST", "/v1/models/d/n/wake", False),
        ("GET", "/v1/modelsx", False),
        ("GET", "/v1/audio/speech/stream", False),
    ],
)
def test_a_catalog_lists_names(method: str, path: str, *, expected: bool) -> None:
    assert is_catalog(method, path) is expected


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("POST", {}, True),
        ("DELETE", {}, True),
        ("GET", {}, False),
        ("GET", {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}, True),
    ],
)
def test_what_may_spend_is_admitted(method: str, headers: dict[str, str], *, expected: bool) -> None:
    assert needs_admission(make_mocked_request(method, "/", headers=headers)) is expected
