"""Lines in, lines out: split, joined, too long, left over; connections are bounded."""

import asyncio
import stat
from pathlib import Path

import pytest
from voxfleet_gateway.dns.backend_server import MAX_LINE_BYTES, serve_backend

SECONDS = 20


def upper(line: bytes) -> bytes:
    return line.upper() + b"\n"


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(path))


async def test_lines_are_answered_in_order_however_they_arrive(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with asyncio.timeout(SECONDS), serve_backend(path, 0o660, upper):
        reader, writer = await connect(path)
        for part in (b"on", b"e\ntwo\n\nth", b"ree\n"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        assert [await reader.readline() for _ in range(3)] == [b"ONE\n", b"TWO\n", b"THREE\n"]
        writer.close()


async def test_a_line_that_is_too_long_ends_its_connection_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with asyncio.timeout(SECONDS), serve_backend(path, 0o660, upper):
        reader, writer = await connect(path)
        other_reader, other_writer = await connect(path)
        writer.write(b"x" * (MAX_LINE_BYTES + 1))
        assert await reader.read() == b""
        other_writer.write(b"a\n")
        assert await other_reader.readline() == b"A\n"
        other_writer.close()
        writer.close()


async def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.dns.backend_server.MAX_CONNECTIONS", 1)
    path = tmp_path / "s.sock"
    async with asyncio.timeout(SECONDS), serve_backend(path, 0o660, upper):
        first, first_writer = await connect(path)
        first_writer.write(b"a\n")
        assert await first.readline() == b"A\n"
        second, second_writer = await connect(path)
        second_writer.write(b"a\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await second.readexactly(2)
        first_writer.close()
        second_writer.close()


async def test_a_mistake_of_the_program_ends_the_connection(tmp_path: Path) -> None:
    def broken(line: bytes) -> bytes:
        if line == b"bad":
            raise RuntimeError("a mistake")
        return upper(line)

    path = tmp_path / "s.sock"
    async with asyncio.timeout(SECONDS), serve_backend(path, 0o660, broken):
        reader, writer = await connect(path)
        writer.write(b"bad\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        again, again_writer = await connect(path)
        again_writer.write(b"a\n")
        assert await again.readline() == b"A\n"
        writer.close()
        again_writer.close()


async def test_an_old_socket_is_replaced_and_the_own_one_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("left by a killed engine")
    async with serve_backend(path, 0o600, upper):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.rename(tmp_path / "older")
        path.write_text("of a newer engine")
    assert path.exists()


async def test_the_socket_is_gone_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with serve_backend(path, 0o660, upper):
        assert path.exists()
    assert not path.exists()
