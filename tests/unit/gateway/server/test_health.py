"""A gateway that shuts down ends when nothing is open, whatever it waits for, and no request has come for a while."""

import asyncio
from typing import Any


async def test_a_drain_waits_for_a_body_that_is_still_being_sent(wire: Any) -> None:
    sent = wire.post()
    async with wire.gateway(wire.speaking(), settings={"drain_grace_seconds": 0.0}) as (port, gateway):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent[:-5])
        async with asyncio.timeout(30):
            while not gateway.health.open_requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        draining = asyncio.create_task(gateway.drain())
        await asyncio.sleep(0.5)
        assert not draining.done()
        writer.write(sent[-5:])
        assert (await reader.read()).endswith(b"RIFFaudio")
        await asyncio.wait_for(draining, 30)
        writer.close()


async def test_a_drain_goes_on_for_its_grace_after_the_newest_request(wire: Any) -> None:
    """A node's proxy may be late to read that the gateway ends; its connections must not be refused."""
    async with wire.gateway(wire.speaking(), settings={"drain_grace_seconds": 2.0}) as (port, gateway):
        draining = asyncio.create_task(gateway.drain())
        await asyncio.sleep(0.5)
        began_seconds = asyncio.get_running_loop().time()
        answer, _ = await wire.send(port, wire.post())
        assert answer.endswith(b"RIFFaudio")
        await asyncio.wait_for(draining, 60)
        assert asyncio.get_running_loop().time() - began_seconds >= 2.0


async def test_probes_keep_no_gateway_from_ending(wire: Any) -> None:
    async with wire.gateway(wire.speaking()) as (port, gateway):
        answer, _ = await wire.send(port, b"GET /health/live HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
        assert b'"live"' in answer
        assert gateway.health.is_quiet(60)
