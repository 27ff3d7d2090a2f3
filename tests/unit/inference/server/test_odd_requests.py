"""Malformed requests: each gets a clear error, and the next valid request is served."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SPEECH = {"model": "voxcpm-1.5", "input": "hi", "response_format": "pcm"}
PATH = "/v1/audio/speech"
START = b'{"model": "voxcpm-1.5", "input": "hi", '


@pytest.fixture
async def client(
    start_server: Any, tone_model: Any, wait_until: Any, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    async with start_server(tone_model, voices_dir=tmp_path) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as opened:
            yield opened
            assert (await opened.post(PATH, json=SPEECH)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        START + b'"voice": ' + b'{"id": ' * 50_000,
        START + b'"seed": ' + b"9" * 10_000 + b"}",
        START + b'"speed": 1e999}',
        START + b'"voice": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"",
    ],
    ids=["deep lists", "deep objects", "many digits", "infinity", "half a character", "byte order mark", "nothing"],
)
async def test_odd_bodies_are_400(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(PATH, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "header",
    [
        (b"X-Request-Id", b"a" * 50_000),
        (b"X-Request-Id", b"\xff\xfe"),
        (b"Authorization", b"Bearer \xff"),
        *((b"Prefer", value) for value in (b"wait=" + b"9" * 30, b"wait=-1", b"wait=", b'wait="', b";,=")),
        (b"Content-Type", b"\xff/\xff"),
    ],
)
async def test_odd_headers_change_nothing(client: httpx.AsyncClient, header: tuple[bytes, bytes]) -> None:
    answer = await client.post(PATH, json=SPEECH, headers=[header])
    assert answer.status_code == 200
    assert len(answer.headers["x-request-id"]) <= 200


@pytest.mark.parametrize("path", [PATH, "/v1/audio/voices"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "x-unknown", "identity, gzip", "\xff", "a" * 5000])
async def test_a_body_in_an_unknown_encoding_is_415(client: httpx.AsyncClient, path: str, encoding: str) -> None:
    headers = [(b"Content-Encoding", encoding.encode("latin-1")), (b"Content-Type", b"application/json")]
    answer = await client.post(path, content=b"\x1f\x8b\x08", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "identity"
    assert len(answer.json()["error"]["message"]) < 200


async def test_a_body_in_no_encoding_is_read(client: httpx.AsyncClient) -> None:
    for encoding in ("identity", "Identity", ""):
        answer = await client.post(PATH, json=SPEECH, headers={"Content-Encoding": encoding})
        assert answer.status_code == 200, encoding


@pytest.mark.parametrize("name", ["%00", "..%2f..%2fetc%2fpasswd", "a" * 5000, "%ff%fe", "%0d%0aX:1", "%2e%2e"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_odd_names_are_unknown(client: httpx.AsyncClient, method: str, name: str) -> None:
    answer = await client.request(method, f"/v1/audio/voices/{name}")
    assert answer.status_code in {404, 405}
    assert answer.json()["error"]["message"]


async def test_a_body_over_the_limit_is_rejected_before_all_of_it_has_arrived(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * 2**20:
            sent += 65536
            yield b"x" * 65536

    try:
        answer = await client.post(PATH, content=endless())
    except httpx.TransportError:
        return  # the server closed the connection in the middle
    assert answer.status_code == 413


def common(response: httpx.Response) -> dict[str, str]:
    """Return the headers without those of the one response: its time, its id, the page's nonce."""
    named = {name: value for name, value in response.headers.items() if name not in {"date", "x-request-id"}}
    return {name: re.sub("nonce-[^']+", "nonce", value) for name, value in named.items()}


@pytest.mark.parametrize(
    "path", ["/", "/health/live", "/health/ready", "/v1/models", "/v1/audio/voices", "/openapi.json"]
)
async def test_head_is_get_without_its_body(client: httpx.AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"") == (200, b"")
    assert common(head) == common(whole)


async def test_head_without_a_get_route_is_an_error(client: httpx.AsyncClient) -> None:
    assert [(await client.head(path)).status_code for path in ("/nowhere", PATH)] == [404, 405]
