"""Connections to peers are made to no address that is not a peer's, whatever a name resolves to."""

import asyncio
import socket
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.peers.client import checked_sockets, open_peer_client
from voxfleet_gateway.peers.tls import PeerTls

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def test_a_socket_is_made_only_for_an_address_that_may_be_a_peers() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    with pytest.raises(OSError, match=r"127\.0\.0\.1 is no peer's address: it is loopback"):
        checked_sockets(())(info)
    checked_sockets(LOOPBACK)(info).close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_neither_a_name_nor_an_address_leads_to_loopback(host: str, peer_folders: Any) -> None:
    reached = asyncio.Event()
    server = await asyncio.start_server(lambda *_: reached.set(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_peer_client(PeerTls.of(peer_folders.issue("eu")), ()) as client:
        with pytest.raises(aiohttp.ClientConnectorError, match=r"no peer.s address"):
            await client.of("us").get(f"https://{host}:{port}/internal/region")
    assert not reached.is_set()
