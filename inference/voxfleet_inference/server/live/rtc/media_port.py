"""The UDP socket that the audio of all sessions goes through: one port for a firewall to open.

aioice binds a port of its own choice for each connection and has no setting for it. Here its connections get their host
candidates from this module instead: a shared socket per address of this machine, which gives each datagram to the
connection whose user name its first check carried (RFC 8445, 7.3) and whose address it then comes from.

aioice also looks every 20 ms whether its checks are done, which costs half of that on average. Here it waits for the
result: no candidate of a client is read, so that there is no check to start before the client's own one. And the first
check that nominates a pair completes ICE, without a check of the server's own and its round trip.

Knows: aioice's connection, and how a public address stands for the one that is bound (1:1 NAT).
Does not know: SDP, DTLS or audio.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, cast

import structlog
from aioice import Candidate, Connection, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol, get_host_addresses

_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound
_RECEIVE_BUFFER_BYTES: Final = 512 * 1024
_logger: Final = structlog.get_logger("voxfleet_inference")
_LAST_STUN_BYTE: Final = 3  # of a datagram that begins with it (RFC 7983, 7); most are media
_Address = tuple[str, int]


class MediaPort:
    """The sockets, bound when the first connection needs them."""

    def __init__(self, host: str, port: int, public_addresses: Sequence[str] = ()) -> None:
        self._host, self._port = host, port
        self._public_addresses = tuple(public_addresses)
        self._sockets: dict[str, _SharedSocket] = {}

    def serve(self, connection: Connection) -> None:
        """Let a connection gather its host candidates here; call it before it gathers."""
        # Its own method asks the TURN server, and binds a socket for each of the addresses that it is given: none.
        gather_relayed = connection.get_component_candidates
        gather = partial(self._gather, connection, gather_relayed)
        connection.get_component_candidates = gather  # type: ignore[method-assign]
        connection._check_list = _Checks()  # noqa: SLF001
        connection._check_periodic = lambda: False  # type: ignore[method-assign] # noqa: SLF001
        connection.check_incoming = partial(_take_check, connection)  # type: ignore[method-assign]

    def close(self) -> None:
        """Close the sockets."""
        for shared in self._sockets.values():
            shared.transport.close()
        self._sockets.clear()

    async def _gather(
        self,
        connection: Connection,
        gather_relayed: Callable[..., Any],
        component: int,
        addresses: list[str],  # noqa: ARG002 - aioice's, which never has the loopback address
        timeout: int = 5,  # noqa: ASYNC109 - aioice's signature
    ) -> list[Candidate]:
        candidates = []
        for address in self._addresses():
            shared = await self._socket(address)
            if shared is None:
                continue
            protocol = shared.connect(connection)
            protocol.local_candidate = self._candidate(component, shared.bound)
            connection._protocols.append(protocol)  # noqa: SLF001 - where its own method puts them
            candidates.append(protocol.local_candidate)
        return candidates + cast("list[Candidate]", await gather_relayed(component, [], timeout))

    def _addresses(self) -> list[str]:
        if self._host not in _EVERY_ADDRESS:
            return [self._host]
        return get_host_addresses(use_ipv4=True, use_ipv6=True)

    async def _socket(self, address: str) -> _SharedSocket | None:
        if address not in self._sockets:
            try:
                self._sockets[address] = await _bind(address, self._port)
            except OSError as error:
                _logger.warning("media_port_not_bound", address=address, port=self._port, error=str(error))
                return None
        return self._sockets[address]

    def _candidate(self, component: int, bound: _Address) -> Candidate:
        host, port = _public(bound[0], self._public_addresses), bound[1]
        return Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )


def _public(address: str, public_addresses: Sequence[str]) -> str:
    """Return the public address of the same IP version, if there is one."""
    version = ipaddress.ip_address(address).version
    return next((each for each in public_addresses if ipaddress.ip_address(each).version == version), address)


async def _bind(address: str, port: int) -> _SharedSocket:
    loop = asyncio.get_running_loop()
    transport, shared = await loop.create_datagram_endpoint(_SharedSocket, local_addr=(address, port))
    bound = transport.get_extra_info("sockname")
    shared.bound = (bound[0], bound[1])
    if (raw := transport.get_extra_info("socket")) is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return shared


def _take_check(connection: Connection, message: stun.Message, addr: _Address, protocol: StunProtocol) -> None:
    """Take a client's check; the first one that nominates is enough, as for ICE lite (RFC 8445, 2.5).

    Its source address may be forged. What is sent there is an answer to each ClientHello that comes from it; audio
    follows when a Finished has proved that the client reads there. Any later address has to answer a check of ours.
    """
    is_first = "USE-CANDIDATE" in message.attributes and not connection.ice_controlling and not connection._nominated  # noqa: SLF001
    pairs = connection._check_list  # noqa: SLF001
    for pair in pairs:
        if pair.state is CandidatePair.State.IN_PROGRESS and pair.task is not None and pair.task.done():
            # ICE was complete before our check was answered, and has cancelled it.
            pair.task, pair.state = None, CandidatePair.State.WAITING
    Connection.check_incoming(connection, message, addr, protocol)
    if is_first:
        pair = next(each for each in pairs if each.protocol is protocol and each.remote_addr == addr)
        if pair.task is not None:
            pair.task.cancel()
        pair.state, pair.nominated = CandidatePair.State.SUCCEEDED, True
        connection.check_complete(pair)


class _Checks(list[CandidatePair]):
    """The pairs of a connection, true without any: it then waits for the first one instead of failing."""

    def __bool__(self) -> bool:
        return True


class _SharedSocket(asyncio.DatagramProtocol):
    """One socket, and the connections that use it."""

    bound: _Address
    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._by_user_name: dict[str, StunProtocol] = {}
        self._by_address: dict[_Address, StunProtocol] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        address = (addr[0], addr[1])
        protocol = self._by_user_name.get(user_name(data)) or self._by_address.get(address)
        if protocol is not None:
            self._by_address[address] = protocol
            protocol.datagram_received(data, address)

    def connect(self, connection: Connection) -> StunProtocol:
        protocol = StunProtocol(connection)
        self._by_user_name[connection.local_username] = protocol
        protocol.connection_made(_Sender(self, protocol))
        return protocol

    def forget(self, protocol: StunProtocol) -> None:
        self._by_user_name = {name: each for name, each in self._by_user_name.items() if each is not protocol}
        self._by_address = {address: each for address, each in self._by_address.items() if each is not protocol}
        protocol.connection_lost(None)


class _Sender(asyncio.DatagramTransport):
    """What a connection takes for its own socket."""

    def __init__(self, shared: _SharedSocket, protocol: StunProtocol) -> None:
        super().__init__()
        self._shared, self._protocol = shared, protocol

    def sendto(self, data: Any, addr: Any = None) -> None:
        if not self._shared.transport.is_closing():
            self._shared.transport.sendto(data, addr)

    def close(self) -> None:
        self._shared.forget(self._protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._shared.transport.get_extra_info(name, default)


def user_name(datagram: bytes) -> str:
    """Return the connection's name in a check, the first part of its USERNAME; empty for every other datagram."""
    if not datagram or datagram[0] > _LAST_STUN_BYTE:
        return ""
    try:
        message = stun.parse_message(datagram)
    except ValueError:
        return ""
    if message.message_class is not stun.Class.REQUEST:
        return ""
    return str(message.attributes.get("USERNAME", "")).partition(":")[0]
