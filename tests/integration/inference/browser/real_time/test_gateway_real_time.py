"""The page of a gateway speaks over WebRTC: its offer goes through the gateway, its audio from the server itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Request, expect
from voxfleet_gateway.gateway import Gateway

TEXT = "A first sentence stands here. And this is the second one."


@pytest_asyncio.fixture(loop_scope="session")  # the loop of the tests, which share a browser
async def gateway(gateway_before: Any, server: Any) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway whose one region has the server; by a name of its own, which the server does not know."""
    async with gateway_before(server) as opened:
        yield opened


async def test_the_page_of_a_gateway_speaks_in_real_time(gateway: Any, server: Any, open_page: Any) -> None:
    running, url = gateway
    opened = await open_page(url + "/")
    page = opened.page
    spoken: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST" and "/audio/speech" in request.url:
            spoken.append(request.url)

    page.on("request", note)
    await page.get_by_label("Real time (WebRTC)").check()
    await page.get_by_label("Text", exact=True).fill(TEXT)
    await page.get_by_role("button", name="Speak", exact=True).click()
    await expect(page.locator("mark")).to_be_visible()
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
    await expect(page.get_by_text("over HTTP")).to_have_count(0)
    assert set(spoken) == {f"{url}/v1/audio/speech/rtc"}
    decided = running.fleet_page.events.audience.feed.recent.newer_than(0)
    assert {each.decided.decision.region for each in decided} == {"eu"}, "as the fleet page lists them"
    await page.goto("about:blank")
    server.wait_for_idle()
