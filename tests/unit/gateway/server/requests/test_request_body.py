"""No request body costs more bytes than the stated bounds, and none is inflated."""

import asyncio
import contextlib
import gzip
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.requests.request_body import SMALL_BODY_BYTES, UPLOAD_SHARE, BodyBudget

MIB = 2**20


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("piece", [b"{},", b"[],", b'{"a":1},'])
async def test_a_document_of_many_values_is_413_and_is_not_parsed(wire: Any, piece: bytes) -> None:
    body = b'{"model":"m","input":"hi","x":[' + piece * (16_770_000 // len(piece)) + b"0]}"
    async with wire.gateway(wire.speaking()) as (port, gateway):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer, _ = await wire.send(port, wire.post(body))
        assert gateway.speech.bodies.used_bytes == 0
    assert status(answer) == 413
    # The parsed tree had some 400 MiB; client, gateway and sockets of this process hold the bytes once each.
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 150


async def test_forty_encoded_bodies_are_415_and_are_not_inflated(wire: Any) -> None:
    body = gzip.compress(b"0" * 15_000_000, 9)
    async with wire.gateway(wire.speaking()) as (port, _):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        request = wire.post(body, b"Content-Encoding: gzip\r\n")
        answers = await asyncio.gather(*(wire.send(port, request) for _ in range(40)))
    assert {status(answer) for answer, _ in answers} == {415}
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 50


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"GZIP", b"identity, gzip", b"nonsense"])
async def test_every_coding_is_refused_whatever_the_body_is(wire: Any, coding: bytes) -> None:
    async with wire.gateway(wire.speaking()) as (port, _):
        answer, _ = await wire.send(port, wire.post(extra=b"Content-Encoding: %s\r\n" % coding))
    assert status(answer) == 415


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
async def test_a_declared_length_beyond_the_bound_is_413_before_100_continue(wire: Any, expect: bytes) -> None:
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: g\r\nContent-Length: 999999999\r\n%s\r\n" % expect
    async with wire.gateway(wire.speaking()) as (port, _):
        answer, _ = await wire.send(port, head)
    assert status(answer) == 413


async def test_100_continue_is_sent_for_a_body_within_the_bound(wire: Any) -> None:
    async with wire.gateway(wire.speaking()) as (port, _):
        answer, _ = await wire.send(port, wire.post(extra=b"Expect: 100-continue\r\n"))
        other, _ = await wire.send(port, wire.post(extra=b"Expect: cake\r\n"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert status(other) == 417


async def test_an_endless_body_without_length_is_413_at_the_bound(wire: Any) -> None:
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with wire.gateway(wire.speaking(), settings={"max_body_bytes": MIB}) as (port, gateway):
        answer, _ = await wire.send(
            port, head + b"10000\r\n" + b"a" * 65536 + b"\r\n" + (b"10000\r\n" + b"a" * 65536 + b"\r\n") * 20
        )
        assert gateway.speech.bodies.used_bytes == 0
    assert status(answer) == 413


@contextlib.asynccontextmanager
async def unfinished(port: int, count: int, sent_bytes: int) -> AsyncIterator[None]:
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n" % (sent_bytes + 1)
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(count)]
    for writer in writers:
        writer.write(head + b" " * sent_bytes)
    yield
    for writer in writers:
        writer.close()


async def test_unfinished_uploads_are_bounded_together_and_leave_room_for_small_bodies(wire: Any) -> None:
    async with wire.gateway(wire.speaking(), settings={"max_bodies_bytes": 8 * MIB}) as (port, gateway):
        async with unfinished(port, count=20, sent_bytes=MIB):
            async with asyncio.timeout(10):
                while gateway.speech.bodies.used_bytes < 4 * MIB:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            upload, _ = await wire.send(port, wire.post(b'{"model":"m","input":"hi","x":"%s"}' % (b"a" * 4 * MIB)))
            small, _ = await wire.send(port, wire.post())
            assert gateway.speech.bodies.used_bytes <= 6 * MIB
        async with asyncio.timeout(10):
            while gateway.speech.bodies.used_bytes:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert (status(upload), status(small)) == (503, 200)
    assert b"Retry-After: 5" in upload
    assert b"bodies_full" in upload


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 300_000)), max_size=40))
def test_reservations_never_exceed_the_limit_and_end_at_zero(steps: list[tuple[int, int]]) -> None:
    budget = BodyBudget(MIB)
    with contextlib.ExitStack() as stack:
        bodies = [stack.enter_context(budget.reserve()) for _ in range(6)]
        for body, count in steps:
            with contextlib.suppress(RequestRefusedError):
                bodies[body].grow(count)
            assert budget.used_bytes == sum(each.taken_bytes for each in bodies) <= MIB
            large = sum(each.taken_bytes for each in bodies if each.taken_bytes > SMALL_BODY_BYTES)
            assert large <= UPLOAD_SHARE * MIB
    assert budget.used_bytes == 0


async def test_a_large_body_reaches_the_pod_whole(wire: Any) -> None:
    received = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        received.append(await reader.readexactly(length))
        writer.write(wire.ok + b"Content-Length: 4\r\n\r\nRIFF")
        writer.close()

    body = b'{"model":"m","input":"hi","reference_audio":"%s"}' % (b"a" * 3 * MIB)
    async with wire.gateway(pod) as (port, _):
        answer, _ = await wire.send(port, wire.post(body))
    assert (status(answer), received) == (200, [body])


@pytest.mark.parametrize("status_line", [b"200 OK", b"400 Bad Request"])
async def test_a_body_is_kept_until_the_first_byte_of_its_response_and_not_longer(
    wire: Any, status_line: bytes
) -> None:
    answered = asyncio.Event()
    body = b'{"model":"m","input":"hi","reference_audio":"%s"}' % (b"A" * MIB)

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        await asyncio.sleep(0.2)
        used.append(gateway.speech.bodies.used_bytes)
        writer.write(b"HTTP/1.1 " + status_line + b"\r\nContent-Length: 8\r\n\r\nRIFF")
        await answered.wait()
        writer.write(b"more")
        writer.close()

    used: list[int] = []
    async with wire.gateway(pod) as (port, gateway):
        sending = asyncio.create_task(wire.send(port, wire.post(body)))
        async with asyncio.timeout(20):
            while not used or gateway.speech.bodies.used_bytes:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not sending.done()  # the response goes on
        answered.set()
        answer, _ = await sending
    assert used == [len(body)]
    assert answer.endswith(b"RIFFmore")
