"""A voice is cloned on the page: from a file, and from the microphone; it speaks, and is deleted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from voxfleet_testbed.browser.chromium import chromium, opened_page

SPEECH = "**/v1/audio/speech"
VOICES = "**/v1/audio/voices"


async def keep_voice(page: Page, name: str) -> str:
    """Fill the form's other fields and send it; return the voice's id."""
    dialog = page.get_by_role("dialog")
    add = dialog.get_by_role("button", name="Add this voice")
    await dialog.get_by_role("textbox", name="Name of the voice").fill(name)
    await dialog.get_by_role("textbox", name=re.compile("^How and when")).fill("in writing")
    await expect(add).to_be_disabled()  # without the speaker's consent
    await dialog.get_by_role("checkbox", name=re.compile("^The speaker has agreed")).check()
    async with page.expect_response(VOICES) as answered:
        await add.click()
    answer = await answered.value
    assert answer.status == 200, await answer.text()
    return str((await answer.json())["id"])


async def spoken_voice(page: Page, sent_body: Any) -> str:
    """Speak, until the speech is in the history; return the voice that the request names.

    Not Playwright's `finished`: under load Chromium reports a body that the page has read to its end as aborted.
    """
    await page.get_by_role("textbox", name="Text", exact=True).fill("This is my voice.")
    async with page.expect_response(SPEECH) as answered:
        await page.get_by_role("button", name=re.compile("^Speak")).click()
    answer = await answered.value
    assert answer.status == 200
    await expect(page.get_by_role("listitem").filter(has_text="This is my voice.")).to_be_visible()
    return str(sent_body(answer.request)["voice"])


async def test_clone_a_voice_of_a_file_speak_with_it_and_delete_it(
    server: Any, open_page: Any, recording: Path, sent_body: Any
) -> None:
    page = (opened := await open_page(server.url("/"))).page
    await page.get_by_role("button", name="Add a voice").click()
    dialog = page.get_by_role("dialog")
    assert await opened.accessibility_violations() == []
    await dialog.get_by_role("textbox", name="Transcript").fill("what I said")
    await dialog.locator('input[type="file"]').set_input_files(recording)
    await expect(dialog.get_by_text("3.0 s")).to_be_visible()
    voice = await keep_voice(page, "Ada")
    await expect(page.get_by_role("radio", name="Ada")).to_be_checked()
    assert await spoken_voice(page, sent_body) == voice
    await page.get_by_role("button", name="Delete Ada").click()
    await page.get_by_role("button", name="Delete the voice").click()
    await expect(page.get_by_role("radio", name="Ada")).to_have_count(0)
    assert server.get(f"/v1/audio/voices/{voice}").status_code == 404


@pytest.mark.usefixtures("browser_packages")
async def test_clone_a_voice_with_the_microphone(server: Any, recording: Path, sent_body: Any) -> None:
    async with chromium(microphone=recording) as browser:
        voice, spoken = await clone_with_microphone(browser, server.url("/"), sent_body)
    assert spoken == voice
    stored = server.get(f"/v1/audio/voices/{voice}").json()
    assert stored["transcript"].startswith("The morning was bright")


async def clone_with_microphone(browser: Browser, url: str, sent_body: Any) -> tuple[str, str]:
    async with opened_page(browser, url) as opened:
        page = opened.page
        await page.get_by_role("button", name="Add a voice").click()
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(page.get_by_label("Level of the microphone")).to_be_visible()
        await expect(page.get_by_text(re.compile(r"^[2-9]\.\d of "))).to_be_visible()
        await page.get_by_role("button", name="Stop recording").click()
        transcript = page.get_by_role("dialog").get_by_role("textbox", name="Transcript")
        await expect(transcript).to_have_value(re.compile("^The morning was bright"))
        voice = await keep_voice(page, "Grace")
        spoken = await spoken_voice(page, sent_body)
        assert not opened.problems
    return voice, spoken
