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


class Client(asyncio.DatagramProtocol):
    """An address of a client, which answers the server's checks only by `answer`."""

    transport: asyncio.DatagramTransport

    def __init__(self, server: Connection) -> None:
        self.server, self.received = server, asyncio.Queue[bytes]()

    @classmethod
    async def open(cls, server: Connection) -> Client:
        port = server.local_candidates[0].port
        endpoint = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(server), local_addr=("127.0.0.1", 0), remote_addr=("127.0.0.1", port)
        )
        endpoint[1].transport = endpoint[0]
        return endpoint[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002
        self.received.put_nowait(data)

    def check(self, **attributes: Any) -> None:
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        request.attributes |= {"USERNAME": f"{self.server.local_username}:client", "PRIORITY": 1}
        request.attributes |= {"ICE-CONTROLLING": 1} | {
            name.replace("_", "-"): each for name, each in attributes.items()
        }
        request.add_message_integrity(self.server.local_password.encode())
        self.transport.sendto(bytes(request))

    async def next_of(self, kind: stun.Class | None) -> bytes:
        """Return the next datagram of a class, or the next one that is no STUN."""
        while True:
            data = await self.received.get()
            if (None if data[0] > 3 else stun.parse_message(data).message_class) == kind:
                return data

    def answer(self, check: bytes) -> None:
        request = stun.parse_message(check)
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = ("127.0.0.1", self.server.local_candidates[0].port)
        response.add_message_integrity(PASSWORD.encode())
        self.transport.sendto(bytes(response))


PASSWORD = "0123456789012345678901"


async def test_a_check_that_nominates_connects_and_another_address_has_to_answer_a_check_first() -> None:
    port = MediaPort("127.0.0.1", 0)
    (server,) = await gathered(port, 1)
    server.remote_username, server.remote_password = "client", PASSWORD
    first, other = await Client.open(server), await Client.open(server)
    async with asyncio.timeout(60):
        connecting = asyncio.create_task(server.connect())
        other.check()  # does not nominate: answered, and no more
        check = await other.next_of(stun.Class.REQUEST)
        assert not connecting.done()
        first.check(USE_CANDIDATE=None)
        await connecting  # with no answer to a check of the server's own
        await server.send(b"\x80one")
        assert await first.next_of(None) == b"\x80one"
        other.check(USE_CANDIDATE=None)
        again = await other.next_of(stun.Class.REQUEST)
        assert again != check
        await server.send(b"\x80two")
        assert await first.next_of(None) == b"\x80two", "the other address may be forged"
        other.answer(again)
        other_port = other.transport.get_extra_info("sockname")[1]
        while next(iter(server._nominated.values())).remote_addr[1] != other_port:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await server.send(b"\x80three")
        assert await other.next_of(None) == b"\x80three"
        await server.close()
    for each in (first, other):
        each.transport.close()
    port.close()
