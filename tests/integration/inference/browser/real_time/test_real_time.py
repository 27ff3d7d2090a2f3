"""The page speaks over WebRTC where it is chosen, and over HTTP with a word about why where that does not work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Request, Route, expect
from voxfleet_testbed.browser.chromium import PAGE_SECONDS
from voxfleet_testbed.browser.speech_page import RECORD_MARKS, figure, wait_for_the_end

TEXT = "A first sentence stands here. And this is the second one."
RTC = "**/v1/audio/speech/rtc"
LIMIT = 1024
LONG = "A boat passes the house by the river. " * 28  # two pieces are within the limit, three are not
RECORD_MESSAGES = """() => {
  window.messages = [];
  const send = RTCDataChannel.prototype.send;
  RTCDataChannel.prototype.send = function (text) {
    messages.push(JSON.parse(text));
    return send.call(this, text);
  };
}"""

MESSAGES_TO_THE_END = """async () => {
  while (messages.at(-1)?.type !== "session.end") await new Promise(requestAnimationFrame);
  return messages;
}"""


@pytest.fixture(scope="module")
def terse_server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with a small limit."""
    folder = tmp_path_factory.mktemp("terse")
    flags = ("--voices-dir", str(folder / "voices"), "--max-input-characters", str(LIMIT))
    with start_server(folder / "server", tiny, *flags) as running:
        running.wait_for_ready()
        yield running


def is_offer(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/rtc")


async def speak_in_real_time(page: Page) -> None:
    await write_for_real_time(page)
    await page.get_by_role("button", name="Speak", exact=True).click()


async def write_for_real_time(page: Page) -> None:
    await page.get_by_label("Real time (WebRTC)").check()
    await page.get_by_label("Text", exact=True).fill(TEXT)


async def test_speech_in_real_time_sounds_marks_its_sentences_and_ends(server: Any, open_page: Any) -> None:
    opened = await open_page(server.url("/"))
    page = opened.page
    await page.evaluate(RECORD_MARKS)
    offers: list[str] = []
    page.on("request", lambda request: offers.append(request.post_data or "") if is_offer(request) else None)
    async with page.expect_request(is_offer):
        await write_for_real_time(page)
    (ahead,) = json.loads(offers[0])["messages"]
    assert (ahead["type"], "input" in ahead) == ("session.start", False), "connected before there is a text to speak"
    await page.get_by_role("button", name="Speak", exact=True).click()
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_enabled()
    await expect(page.get_by_text("no waveform, no download, no history")).to_be_visible()
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
    assert await page.evaluate("marked") == ["A first sentence stands here.", "And this is the second one."]
    assert 0 < await figure(page, "firstByte") <= await figure(page, "firstSound")
    await expect(page.get_by_text("over HTTP")).to_have_count(0)
    assert await opened.accessibility_violations() == []
    assert len(offers) == 2, "one for this speech, and one ahead of the next"
    await page.goto("about:blank")
    server.wait_for_idle()


async def test_a_text_beyond_the_limit_follows_as_it_is_spoken(terse_server: Any, open_page: Any) -> None:
    page = (await open_page(terse_server.url("/"))).page
    await page.evaluate(RECORD_MESSAGES)
    await page.get_by_label("Real time (WebRTC)").check()
    async with page.expect_request(is_offer):
        await page.get_by_label("Text", exact=True).fill(LONG)
    await page.get_by_role("button", name="Speak", exact=True).click()
    await expect(page.locator("mark")).to_be_visible()
    async with asyncio.timeout(2 * PAGE_SECONDS):
        *appended, end = await page.evaluate(MESSAGES_TO_THE_END)
    assert end == {"type": "session.end"}
    assert len(LONG) > LIMIT
    assert "".join(message["text"] for message in appended).strip() == LONG.strip()
    await expect(page.get_by_text("over HTTP")).to_have_count(0)
    await page.get_by_role("button", name="Stop", exact=True).click()
    await page.goto("about:blank")
    terse_server.wait_for_idle()


async def test_a_stop_ends_the_session_in_real_time(server: Any, open_page: Any) -> None:
    page = (await open_page(server.url("/"))).page
    await speak_in_real_time(page)
    await expect(page.locator("mark")).to_be_visible()
    async with page.expect_request(lambda request: request.method == "DELETE") as deleted:
        await page.get_by_role("button", name="Stop", exact=True).click()
    assert (answer := await (await deleted.value).response()) is not None
    assert answer.status == 204
    await expect(page.locator("mark")).to_have_count(0)
    await page.goto("about:blank")  # ends what is connected ahead of the next speech
    server.wait_for_idle()


async def test_without_webrtc_the_same_text_is_spoken_over_http_with_a_word_about_why(
    server: Any, open_page: Any
) -> None:
    opened = await open_page(server.url("/"))
    page = opened.page

    async def refuse(route: Route) -> None:
        error = {"message": "this server offers no WebRTC", "type": "invalid_request_error", "param": None, "code": ""}
        await route.fulfill(status=501, json={"error": error})

    offers: list[str] = []
    page.on("request", lambda request: offers.append(request.url) if is_offer(request) else None)
    await page.route(RTC, refuse)
    await speak_in_real_time(page)
    await expect(page.get_by_text("This server offers no WebRTC here")).to_be_visible()
    await wait_for_the_end(page)
    await page.get_by_role("button", name="Speak", exact=True).click()
    await expect(page.get_by_text("This server offers no WebRTC here")).to_be_visible()
    await wait_for_the_end(page)
    opened.forgive("501")
    assert len(offers) == 1, "what the server lacks is asked for once"
