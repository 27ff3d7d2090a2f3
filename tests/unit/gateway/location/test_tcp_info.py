"""The kernel's own measurement of a connection, on both event loops."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from voxfleet_gateway.location.tcp_info import round_trip_seconds


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_connection_over_loopback_takes_microseconds(run: Callable[[Any], float | None]) -> None:
    async def measure() -> float | None:
        measured: list[float | None] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            measured.append(round_trip_seconds(writer.transport))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        await reader.read()
        writer.close()
        server.close()
        return measured[0]

    seconds = run(measure())
    assert seconds is not None
    assert 0 < seconds < 0.5


def test_what_is_no_connection_has_no_round_trip() -> None:
    assert round_trip_seconds(None) is None
    assert round_trip_seconds(SimpleNamespace(get_extra_info=lambda _: None)) is None  # type: ignore[arg-type]
    pipe = SimpleNamespace(get_extra_info=lambda _: SimpleNamespace())
    assert round_trip_seconds(pipe) is None  # type: ignore[arg-type]
    short = SimpleNamespace(getsockopt=lambda *_: b"")
    assert round_trip_seconds(SimpleNamespace(get_extra_info=lambda _: short)) is None  # type: ignore[arg-type]
