"""One socket for all connections, the public address in place of the bound one, and which datagrams are checks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aioice import Connection, stun
from voxfleet_inference.server.live.rtc.media_port import MediaPort, user_name


async def gathered(port: MediaPort, count: int) -> list[Connection]:
    connections = [Connection(ice_controlling=False) for _ in range(count)]
    for connection in connections:
        port.serve(connection)
        await connection.gather_candidates()
    return connections


async def connected(servers: list[Connection]) -> list[Connection]:
    clients = [Connection(ice_controlling=True) for _ in servers]
    for client, server in zip(clients, servers, strict=True):
        await client.gather_candidates()
        client.remote_username, client.remote_password = server.local_username, server.local_password
        server.remote_username, server.remote_password = client.local_username, client.local_password
        for candidate in server.local_candidates:
            await client.add_remote_candidate(candidate)
        await client.add_remote_candidate(None)
    assert len({candidate.port for server in servers for candidate in server.local_candidates}) == 1
    return clients


async def test_connections_share_a_socket_and_each_gets_its_own_datagrams() -> None:

    port = MediaPort("127.0.0.1", 0)
    servers = await gathered(port, 3)
    clients = await connected(servers)
    async with asyncio.timeout(60):
        await asyncio.gather(*(each.connect() for each in [*servers, *clients]))
        for at, client in enumerate(clients):
            await client.send(b"\x80from %d" % at)
        assert [await server.recv() for server in servers] == [b"\x80from 0", b"\x80from 1", b"\x80from 2"]
        for at, server in enumerate(servers):
            await server.send(b"\x80to %d" % at)
        assert [await client.recv() for client in clients] == [b"\x80to 0", b"\x80to 1", b"\x80to 2"]
        await servers[0].close()
        await clients[1].send(b"\x80still")
        assert await servers[1].recv() == b"\x80still"
        for each in [*servers[1:], *clients]:
            await each.close()
    port.close()


@pytest.mark.parametrize(
    ("public", "expected"), [((), "127.0.0.1"), (("203.0.113.7",), "203.0.113.7"), (("2001:db8::1",), "127.0.0.1")]
)
async def test_a_public_address_of_the_same_version_stands_for_the_bound_one(
    public: tuple[str, ...], expected: str
) -> None:
    port = MediaPort("127.0.0.1", 0, public)
    (server,) = await gathered(port, 1)
    assert [(each.type, each.host) for each in server.local_candidates] == [("host", expected)]
    await server.close()
    port.close()


async def test_an_address_that_cannot_be_bound_gives_no_candidate(logged: Any) -> None:
    port = MediaPort("192.0.2.77", 0)
    (server,) = await gathered(port, 1)
    assert server.local_candidates == []
    assert "media_port_not_bound" in logged()


def test_only_a_check_has_a_user_name() -> None:
    check = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    check.attributes["USERNAME"] = "ours:theirs"
    assert user_name(bytes(check)) == "ours"
    answer = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)
    assert [user_name(each) for each in (bytes(answer), b"", b"\x80rtp", b"\x16dtls", b"\x00" * 30)] == [""] * 5


async def test_a_connection_without_a_check_waits_without_a_timer_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = MediaPort("127.0.0.1", 0)
    (server,) = await gathered(port, 1)
    server.remote_username, server.remote_password = "client", "0123456789012345678901"
    timers: list[float] = []
    call_later = asyncio.get_running_loop().call_later

    def counted(delay: float, *arguments: Any, **context: Any) -> asyncio.TimerHandle:
        timers.append(delay)
        return call_later(delay, *arguments, **context)

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", counted)
    connecting = asyncio.create_task(server.connect())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not connecting.done()
    assert timers == []
    await server.close()
    with pytest.raises(ConnectionError):
        await connecting
    port.close()
