"""A gateway's pages in Chromium: accessible, without an error; the speech page reports round trips to other regions."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from voxfleet_testbed.network.certificates import Identity, make_authority


@pytest.fixture
async def measured(tmp_path: Path) -> AsyncIterator[str]:
    """Another region's gateway: its health path, over TLS."""
    now = dt.datetime.now(dt.UTC)
    pair = make_authority("test", now).issue(Identity("gateway", addresses=("127.0.0.1",)), now)
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pair.pem")

    async def live(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/health/live", live)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("zh", "dark")])
async def test_the_pages_are_accessible_and_ask_only_their_gateway(
    stage: Any, start_gateway: Any, open_page: Any, tmp_path: Path, language: str, scheme: str
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central"), stage.region("us-east")])
    gateway = await start_gateway(VOXFLEET_VOICES_DIR=str(tmp_path / "voices"))
    for path in ("/fleet", "/"):
        opened = await open_page(gateway.url(path), language=language, scheme=scheme)
        assert await opened.page.evaluate("document.documentElement.lang") == language
        assert await opened.accessibility_violations() == []


async def test_the_speech_page_reports_round_trips_to_the_gateways_of_other_regions(
    stage: Any, start_gateway: Any, open_page: Any, tmp_path: Path, measured: str
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central"), stage.region("us-east", gateway_url=measured)])
    gateway = await start_gateway(VOXFLEET_VOICES_DIR=str(tmp_path / "voices"))
    opened = await open_page(gateway.url("/"), ignore_https_errors=True)
    async with opened.page.expect_response("**/v1/rtt") as reported:
        pass
    answer = await reported.value
    assert answer.status == 204
    sent = answer.request.post_data_json["rtt_seconds"]
    assert set(sent) == {"us-east"}
    assert 0 < sent["us-east"] < 30
    opened.forgive("request to another host", f"{measured}/health/live")
