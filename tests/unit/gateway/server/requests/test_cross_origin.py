"""Pages of allowed origins may send requests and read responses; others learn nothing."""

from typing import Any

import pytest
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.server.requests.cross_origin import EXPOSED, page_headers, preflight_headers

APP = "https://app.example.com"
ALLOWED = frozenset({APP})
ASK = {"Origin": APP, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    ("origin", "allowed", "readable"),
    [
        (APP, ALLOWED, True),
        (APP, frozenset({"*"}), True),
        ("https://evil.example", ALLOWED, False),
        (None, ALLOWED, False),
    ],
)
def test_only_an_allowed_page_may_read(origin: str | None, allowed: frozenset[str], *, readable: bool) -> None:
    headers = page_headers(origin, allowed)
    assert headers["Vary"] == "Origin"
    assert headers.get("Access-Control-Allow-Origin") == (origin if readable else None)
    assert headers.get("Access-Control-Expose-Headers") == (EXPOSED if readable else None)
    assert "Access-Control-Allow-Credentials" not in headers


def test_without_allowed_origins_nothing_is_added() -> None:
    assert page_headers(APP, frozenset()) == {}
    assert preflight_headers("OPTIONS", ASK, frozenset()) is None


@pytest.mark.parametrize(
    ("method", "change", "is_answered"),
    [
        ("OPTIONS", {}, True),
        ("POST", {}, False),
        ("OPTIONS", {"Origin": "https://evil.example"}, False),
        ("OPTIONS", {"Access-Control-Request-Headers": "authorization,content-type,x-stainless-os"}, True),
    ],
)
def test_preflights_of_allowed_pages_are_answered(method: str, change: dict[str, str], *, is_answered: bool) -> None:
    answer = preflight_headers(method, ASK | change, ALLOWED)
    assert (answer is not None) == is_answered
    if answer is not None:
        asked = change.get("Access-Control-Request-Headers", "")
        assert answer["Access-Control-Allow-Headers"] == asked
        assert "DELETE" in answer["Access-Control-Allow-Methods"]


def test_odd_requested_headers_are_not_repeated() -> None:
    answer = preflight_headers("OPTIONS", ASK | {"Access-Control-Request-Headers": 'a"b;<c>'}, ALLOWED)
    assert answer is not None
    assert answer["Access-Control-Allow-Headers"] == "Authorization, Content-Type"


def line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


async def test_a_page_of_an_allowed_origin_speaks(wire: Any) -> None:
    extra = line("Origin", APP) + line("Sec-Fetch-Site", "cross-site")
    async with wire.gateway(wire.speaking(), settings={"allowed_origins": APP}) as (port, _):
        head = b"OPTIONS /v1/audio/speech HTTP/1.1\r\nHost: g\r\nConnection: close\r\n"
        ask = (
            extra
            + line("Access-Control-Request-Method", "POST")
            + line("Access-Control-Request-Headers", "authorization")
        )
        preflight, _ = await wire.send(port, head + ask + b"\r\n")
        spoken, _ = await wire.send(port, wire.post(extra=extra))
        refused, _ = await wire.send(port, wire.post(body=b"{", extra=extra))
        foreign, _ = await wire.send(port, wire.post(extra=line("Origin", "https://evil.example")))
    assert preflight.startswith(b"HTTP/1.1 204")
    assert line("Access-Control-Allow-Headers", "authorization") in preflight
    for answer, status in ((preflight, b"204"), (spoken, b"200"), (refused, b"400")):
        assert answer.split()[1] == status
        assert line("Access-Control-Allow-Origin", APP) in answer
        assert line("X-Content-Type-Options", "nosniff") in answer
        assert b"Server: voxfleet\r\n" in answer
    assert foreign.split()[1] == b"403"
    assert b"--allowed-origins" in foreign
    assert b"Access-Control-Allow-Origin" not in foreign


async def test_a_wrong_origin_is_an_error_at_the_start(wire: Any) -> None:
    with pytest.raises(SettingsError, match=r"VOXFLEET_ALLOWED_ORIGINS.*example\.com"):
        async with wire.gateway(settings={"allowed_origins": "example.com"}):
            pass


async def test_the_page_may_not_be_framed(wire: Any) -> None:
    async with wire.gateway() as (port, _):
        answer, _ = await wire.send(port, b"GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
    assert b"frame-ancestors 'none'" in answer
