"""Which responses of a pod reach a client, and that an error's body arrives whole."""

import asyncio
from typing import Any

import pytest
from voxfleet_gateway.server.upstream.attempt import MAX_ERROR_BYTES

ERROR = b"HTTP/1.1 503 B\r\nContent-Length: 20\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("pieces", [(b"first half", b"other half"), (b"first half other ", b"h", b"a", b"l")])
async def test_an_errors_body_in_pieces_arrives_whole(wire: Any, pieces: tuple[bytes, ...]) -> None:
    pods = [wire.pod(ERROR, *pieces) for _ in range(4)]
    async with wire.gateway(*pods) as (port, gateway):
        gateway.speech.budget.balance = 0
        answer, _ = await wire.send(port, wire.post())
    assert (status(answer), answer.partition(b"\r\n\r\n")[2]) == (503, b"".join(pieces))


@pytest.mark.parametrize("code", [400, 503])
async def test_an_error_within_a_begun_event_stream_arrives_whole(wire: Any, code: int) -> None:
    error = b'{"error":{"message":"no such voice","code":"voice_not_found"}}'
    head = b"HTTP/1.1 %d B\r\nContent-Length: %d\r\n\r\n" % (code, len(error))

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)  # comments begin the stream meanwhile
        for piece in (head, error[:20], error[20:]):
            writer.write(piece)
            await asyncio.sleep(0.05)
        writer.close()

    async with wire.gateway(pod) as (port, gateway):
        gateway.speech.budget.balance, gateway.speech.keep_alive_seconds = 0, 0.05
        answer, _ = await wire.send(port, wire.post(b'{"model":"m","input":"hi","stream_format":"sse"}'))
    assert b": keep-alive" in answer
    assert b'"message": "no such voice"' in answer


async def test_an_error_beyond_the_bound_is_replaced_by_the_gateways_own(wire: Any) -> None:
    large = b"HTTP/1.1 500 B\r\nContent-Length: 50000000\r\n\r\n" + b"x" * (MAX_ERROR_BYTES + 1)
    async with wire.gateway(wire.pod(large)) as (port, gateway):
        gateway.speech.budget.balance = 0
        answer, _ = await wire.send(port, wire.post())
    assert status(answer) == 500
    assert b'"code": "upstream_failed"' in answer
    assert len(answer) < 2000


@pytest.mark.parametrize("code", [101, 201, 204, 206, 301, 302, 304, 307, 600, 999])
async def test_a_status_that_no_speech_server_has_is_503(wire: Any, code: int) -> None:
    answer = b"HTTP/1.1 %d B\r\nLocation: http://10.0.0.1/internal\r\nContent-Length: 0\r\n\r\n" % code
    async with wire.gateway(wire.pod(answer)) as (port, gateway):
        gateway.speech.budget.balance = 0
        got, _ = await wire.send(port, wire.post())
    assert status(got) == 503
    assert b"Retry-After:" in got
    assert b"10.0.0.1" not in got


@pytest.mark.parametrize("code", [400, 404, 422, 429])
async def test_a_pods_refusal_is_passed_on(wire: Any, code: int) -> None:
    answer = b"HTTP/1.1 %d B\r\nContent-Length: 4\r\nRetry-After: 9\r\n\r\nbody" % code
    async with wire.gateway(wire.pod(answer)) as (port, _):
        got, _ = await wire.send(port, wire.post())
    assert status(got) == code
    assert got.endswith(b"\r\n\r\nbody")
    assert b"Retry-After: 9" in got


async def test_a_pod_reads_that_the_body_is_json_whatever_the_client_called_it(wire: Any) -> None:
    heads = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(wire.ok + b"Content-Length: 4\r\n\r\nRIFF")
        writer.close()

    async with wire.gateway(pod) as (port, _):
        for extra in (b"", b"Content-Type: text/plain\r\n"):
            await wire.send(port, wire.post(extra=extra))
    assert len(heads) == 2
    assert all(b"content-type: application/json\r\n" in head.lower() for head in heads)
