"""Heads that are refused on the wire: other sites' pages, framing, smuggling; and headers that must be single."""

from typing import Any

import pytest

GET_NEXT = b"GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("path", [b"/v1/audio/speech", b"/v1/models/m/wake"])
@pytest.mark.parametrize(
    "extra",
    [
        b"Content-Type: text/plain\r\nOrigin: https://evil.example\r\n",
        b"Origin: null\r\n",
        b"Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n",
        b"Sec-Fetch-Site: cross-site\r\n",
    ],
)
async def test_a_page_of_another_site_spends_nothing(wire: Any, path: bytes, extra: bytes) -> None:
    async with wire.gateway(wire.speaking()) as (port, _):
        answer, _ = await wire.send(port, wire.post(path=path, extra=extra))
    assert status(answer) == 403
    assert b'"code": "origin_not_allowed"' in answer


@pytest.mark.parametrize(
    "extra", [b"Sec-Fetch-Site: same-origin\r\nOrigin: http://g\r\n", b"Origin: http://g\r\n", b""]
)
async def test_the_gateways_own_page_and_programs_are_served(wire: Any, extra: bytes) -> None:
    async with wire.gateway(wire.speaking()) as (port, _):
        answer, _ = await wire.send(port, wire.post(extra=extra))
    assert status(answer) == 200


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (b"Voxfleet-Client-Country: DE\r\nVoxfleet-Client-Country: US\r\n", 403),
        (b"Voxfleet-Client-Country: US\r\nVoxfleet-Client-Country: DE\r\n", 403),
        (b"Voxfleet-Client-Country: DE,US\r\n", 403),
        (b"Voxfleet-Client-Country: US\r\n", 403),
        (b"", 403),
        (b"Voxfleet-Client-Country: DE\r\n", 200),
    ],
)
async def test_residency_follows_one_country_or_none(wire: Any, extra: bytes, code: int) -> None:
    async with wire.gateway(wire.speaking(), allowed_clients=("DE",)) as (port, _):
        answer, _ = await wire.send(port, wire.post(extra=extra))
    assert status(answer) == code


BODY = b'{"model":"m","input":"hi"}'
CHUNKED_BODY = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLED = {
    "both framings": ((LENGTH, CHUNKED), CHUNKED_BODY),
    "both framings, the other way": ((CHUNKED, LENGTH), CHUNKED_BODY),
    "two lengths": ((LENGTH, b"Content-Length: 5"), BODY),
    "a list of lengths": ((b"Content-Length: 26, 5",), BODY),
    "a signed length": ((b"Content-Length: +26",), BODY),
    "a length with an underscore": ((b"Content-Length: 2_6",), BODY),
    "a negative length": ((b"Content-Length: -1",), BODY),
    "a huge length": ((b"Content-Length: 99999999999999999999999999",), BODY),
    "a hexadecimal length": ((b"Content-Length: 0x1a",), BODY),
    "a folded header": ((LENGTH, b"X: a\r\n b"), BODY),
    "a space before the colon": ((b"Content-Length : 26",), BODY),
    "a bare CR": ((LENGTH, b"X: a\rb"), BODY),
    "a NUL": ((LENGTH, b"X: a\0b"), BODY),
    "chunked twice": ((CHUNKED, CHUNKED), CHUNKED_BODY),
    "another coding first": ((b"Transfer-Encoding: gzip, chunked",), CHUNKED_BODY),
    "another coding last": ((b"Transfer-Encoding: chunked, gzip",), CHUNKED_BODY),
    "an unknown coding": ((b"Transfer-Encoding: xchunked",), CHUNKED_BODY),
    "a vertical tab": ((b"Transfer-Encoding: \x0bchunked",), CHUNKED_BODY),
    "a signed chunk": ((CHUNKED,), CHUNKED_BODY.replace(b"1a", b"+1a")),
    "a prefixed chunk": ((CHUNKED,), CHUNKED_BODY.replace(b"1a", b"0x1a")),
    "a bare LF after a chunk's size": ((CHUNKED,), CHUNKED_BODY.replace(b"1a\r\n", b"1a\n")),
    "a chunk shorter than its bytes": ((CHUNKED,), CHUNKED_BODY.replace(b"1a", b"19")),
    "two hosts": ((b"Host: other", LENGTH), BODY),
}


@pytest.mark.parametrize("case", SMUGGLED)
async def test_ambiguous_framing_is_refused_and_the_connection_closed(wire: Any, case: str) -> None:
    lines, body = SMUGGLED[case]
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: g\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    async with wire.gateway(wire.speaking()) as (port, gateway):
        answer, ending = await wire.send(port, head + body + GET_NEXT, wait=5)
        assert all(not pod.sent_since_report for pod in gateway.fleet.regions[wire.key].pods.values())
    assert status(answer) == 400
    assert ending != "open"
    assert b'"live"' not in answer, "the bytes after it are not another request"


async def test_chunks_in_http_1_0_are_refused(wire: Any) -> None:
    head = b"POST /v1/audio/speech HTTP/1.0\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with wire.gateway(wire.speaking()) as (port, _):
        answer, ending = await wire.send(port, head + CHUNKED_BODY + GET_NEXT)
    assert (status(answer), ending) == (400, "EOF")
