"""A stub reports its load to those with its pods' token, and closes its ports when it stops."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from voxfleet_testbed.nodeless.stub_server import StubServer

# HMAC-SHA256 of "pod/apps/narrator" by "a key", as the operator gives it to pods.
TOKEN = "47b388941304315ef804c7750bc4171a13616d0ab6ad45df490c73fa799c24d1"


class Silent(StubServer):
    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/", self._name)

    async def _name(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.region)


async def test_requests_and_the_report_of_its_load_have_a_port_each() -> None:
    stub = Silent("us-east", "apps", "narrator", "a key", load={"free_rows": 0}, address="127.0.0.1")
    await stub.start()
    api, internal = (f"http://127.0.0.1:{port}" for port in stub.ports)
    async with aiohttp.ClientSession() as session:
        async with session.get(api) as answer:
            assert await answer.text() == "us-east"
        async with session.get(f"{internal}/internal/load") as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.get(f"{internal}/internal/load", headers=headers) as answer:
            report = await answer.json()
    assert (report["model"], report["state"], report["free_rows"]) == ("narrator", "ready", 0)
    await stub.stop()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(api)
