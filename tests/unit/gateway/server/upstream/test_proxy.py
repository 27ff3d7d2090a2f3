"""A response that was cut never looks complete, in HTTP/1.0 and HTTP/1.1."""

import asyncio
import contextlib
from typing import Any

import pytest
from voxfleet_gateway.decisions.pods import stream_silence

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
FIRST = b"5\r\nRIFFa\r\n"
LAST = b"0\r\n\r\n"


def is_complete(answer: bytes, ending: str) -> bool:
    """Whether a client that knows HTTP would take the response for a whole one."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if ending == "RST":
        return False
    if b"content-length" in lines:
        return len(body) >= int(lines[b"content-length"])
    return body.endswith(LAST) if lines.get(b"transfer-encoding") == b"chunked" else True


CUT = {
    "within chunks": (CHUNKED, FIRST),
    "within a chunk": (CHUNKED, FIRST, b"5\r\nRI"),
    "before the last chunk ends": (CHUNKED, FIRST, b"0\r\n"),
    "within a length": (b"Content-Length: 10\r\n\r\n", b"RIFFa"),
    "without length or chunks": (b"Connection: close\r\n\r\n", b"RIFFa"),
    "without length or chunks in one piece": (b"Connection: close\r\n\r\nRIFFa",),
    "with silence": (CHUNKED, FIRST, b""),
    "with a broken chunk": (CHUNKED, FIRST, b"zz\r\nRIFFa\r\n"),
}


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("case", CUT)
async def test_a_cut_response_never_looks_complete(
    wire: Any, monkeypatch: pytest.MonkeyPatch, version: bytes, case: str
) -> None:
    monkeypatch.setattr(stream_silence, "SILENCE_SECONDS", 0.3)
    first, *rest = CUT[case]
    async with wire.gateway(wire.pod(wire.ok + first, *rest)) as (port, _):
        answer, ending = await wire.send(port, wire.post(version=version))
    assert not is_complete(answer, ending)
    assert ending == ("RST" if version == b"1.0" and b"Content-Length" not in answer else "EOF")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("pieces", [(CHUNKED, FIRST + LAST), (b"Content-Length: 5\r\n\r\n", b"RIFFa")])
async def test_a_whole_response_looks_complete(wire: Any, version: bytes, pieces: tuple[bytes, ...]) -> None:
    async with wire.gateway(wire.pod(wire.ok + pieces[0], *pieces[1:])) as (port, _):
        answer, ending = await wire.send(port, wire.post(version=version))
    assert is_complete(answer, ending)
    assert b"RIFFa" in answer


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_stream_that_the_end_of_a_drain_cuts_does_not_look_complete(wire: Any, version: bytes) -> None:
    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire.ok + CHUNKED + FIRST)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(20)

    async with wire.gateway(pod) as (port, _):
        asked = asyncio.create_task(wire.send(port, wire.post(version=version)))
        await asyncio.sleep(0.2)
    answer, ending = await asked
    assert b"RIFFa" in answer or ending == "RST"
    assert not is_complete(answer, ending)
