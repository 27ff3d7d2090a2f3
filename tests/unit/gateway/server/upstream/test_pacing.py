"""Few connections are set up at once, whatever becomes of them, and requests on kept ones wait for none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from voxfleet_gateway.server.upstream.pacing import paced_connections

MOST = 3


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """A server that answers each connection's requests with nothing but a status; yields its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


class Connecting(aiohttp.TCPConnector):
    """Counts the connections that are being set up, each of which takes a while, and the most there were at once."""

    now, most = 0, 0

    async def _create_connection(self, *given: object) -> object:  # type: ignore[override] # aiohttp's own signature
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02)
            return await super()._create_connection(*given)  # type: ignore[arg-type]
        finally:
            self.now -= 1


@asynccontextmanager
async def client() -> AsyncIterator[tuple[aiohttp.ClientSession, Connecting]]:
    connector = Connecting(limit=0)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[paced_connections(MOST)]) as session:
        yield session, connector


async def test_many_requests_connect_a_few_at_a_time() -> None:
    async with server() as url, client() as (session, connector):
        answers = await asyncio.gather(*(session.get(url) for _ in range(20)))
        assert [answer.status for answer in answers] == [204] * 20
        assert connector.most == MOST


async def test_a_refused_or_cancelled_connection_gives_its_place_back() -> None:
    async with server() as url, client() as (session, connector):
        unused = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        closed_port = unused.sockets[0].getsockname()[1]
        unused.close()
        await unused.wait_closed()
        for _ in range(MOST):
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://127.0.0.1:{closed_port}/")
        cancelled = [asyncio.create_task(session.get(url)) for _ in range(2 * MOST)]
        while connector.now < MOST:  # noqa: ASYNC110 - a counter, not an event
            await asyncio.sleep(0)
        for task in cancelled:  # half of them connect, half wait for their turn
            task.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError)
            for each in await asyncio.gather(*cancelled, return_exceptions=True)
        )
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(session.get(url) for _ in range(2 * MOST)))
        assert [answer.status for answer in answers] == [204] * (2 * MOST)


async def test_a_kept_connection_is_used_at_once_while_others_are_set_up() -> None:
    async with server() as url, client() as (session, connector):
        (await session.get(url)).release()
        connecting = [asyncio.create_task(session.get(url.replace("127.0.0.1", "localhost"))) for _ in range(MOST)]
        while connector.now < MOST:  # noqa: ASYNC110 - a counter, not an event
            await asyncio.sleep(0)
        answer = await session.get(url)
        assert (answer.status, connector.now) == (204, MOST)
        await asyncio.gather(*connecting)
