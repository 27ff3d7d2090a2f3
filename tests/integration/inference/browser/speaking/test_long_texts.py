"""A text beyond the server's limit, spoken by the page in several requests as one speech."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Request, expect

SPEECH = "**/v1/audio/speech"
LIMIT = 60
FIRST, SECOND = "The river is calm today. A boat passes.", "Birds sing over the water. It rains."
TEXT = f"{FIRST}\n\n{SECOND}"


@pytest.fixture(scope="module")
def terse_server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server whose limit is two sentences, with the same bits alone and beside the request that is sent ahead."""
    folder = tmp_path_factory.mktemp("terse")
    flags = ("--voices-dir", str(folder / "voices"), "--max-input-characters", str(LIMIT), "--deterministic")
    with start_server(folder / "server", tiny, *flags) as running:
        running.wait_for_ready()
        yield running


def spoken_bodies(page: Page) -> list[dict[str, Any]]:
    """Collect the bodies of the page's speech requests from now on."""
    bodies: list[dict[str, Any]] = []

    def collect(request: Request) -> None:
        if request.url.endswith("/audio/speech"):
            bodies.append(request.post_data_json)

    page.on("request", collect)
    return bodies


async def speak(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Text", exact=True).fill(text)
    await page.keyboard.press("Control+Enter")


def entries(page: Page) -> Any:
    return page.get_by_role("region", name="History").get_by_role("listitem")


async def test_a_long_text_is_one_speech_with_its_sentences_marked_and_one_file(
    terse_server: Any, open_page: Any, tmp_path: Path
) -> None:
    page = (opened := await open_page(terse_server.url("/"))).page
    bodies = spoken_bodies(page)
    await speak(page, TEXT)
    await expect(page.get_by_text("77 of 100,000 characters · sent in 2 requests")).to_be_visible()
    marked = page.locator("mark")
    await expect(marked).to_have_text(re.compile("^The river is calm"))
    await expect(marked).to_have_text(re.compile("^Birds sing over the water"), timeout=60_000)
    assert [body["input"] for body in bodies] == [FIRST, f"\n\n{SECOND}"]
    assert bodies[0]["seed"] == bodies[1]["seed"]
    await expect(entries(page)).to_have_count(1)
    assert await opened.accessibility_violations() == []
    await entries(page).get_by_role("button", name=re.compile("^Download")).click()
    await expect(page.get_by_text(f"Other formats are for texts of up to {LIMIT} characters.")).to_be_visible()
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name=re.compile("^WAV as it was played")).click()
    await (await downloading.value).save_as(tmp_path / "kept.wav")
    made = [terse_server.http.post(terse_server.url("/v1/audio/speech"), json=pcm(body)).content for body in bodies]
    with wave.open(str(tmp_path / "kept.wav")) as file:
        assert file.readframes(file.getnframes()) == made[0] + bytes(2 * int(0.8 * 24_000)) + made[1]


def pcm(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "stream_format"}


async def test_an_error_in_a_later_part_keeps_what_was_spoken(terse_server: Any, open_page: Any) -> None:
    page = (opened := await open_page(terse_server.url("/"))).page
    bodies = spoken_bodies(page)
    busy = {"error": {"message": "the server is full", "type": "server_error", "param": None, "code": "overloaded"}}

    async def respond(route: Any) -> None:
        if len(bodies) < 2:
            await route.continue_()
        else:
            await route.fulfill(status=503, headers={"Retry-After": "30"}, json=busy)

    await page.route(SPEECH, respond)
    await speak(page, TEXT)
    await expect(page.get_by_role("alert", name="The rest was not spoken")).to_contain_text("the server is full")
    await expect(page.get_by_text(re.compile("The server asks to wait \\d+ s."))).to_be_visible()
    await expect(entries(page).filter(has_text="stopped early")).to_have_count(1)
    opened.forgive("503")


async def test_escape_ends_a_long_text_and_one_that_no_browser_could_hold_is_not_sent(
    terse_server: Any, open_page: Any
) -> None:
    page = (await open_page(terse_server.url("/"))).page
    bodies = spoken_bodies(page)
    await speak(page, " ".join([FIRST] * 200))
    await expect(page.locator("mark")).to_be_visible()
    await page.keyboard.press("Escape")
    sent = len(bodies)
    terse_server.wait_for_idle()
    await expect(entries(page).filter(has_text="stopped early")).to_have_count(1)
    await speak(page, "a " * 50_001)
    await expect(page.get_by_text("It has 100,002 characters; one speech has at most 100,000")).to_be_visible()
    assert len(bodies) == sent
