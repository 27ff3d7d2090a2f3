"""Voices on the speech page in Chromium: measured, added, searched, previewed and deleted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect
from voxfleet_testbed.browser.chromium import OpenPage, chromium, opened_page


async def test_a_voice_of_a_file_is_measured_added_previewed_and_deleted(
    keyed_server: Any, open_page: Any, unlock: Any, noise_wav: Any
) -> None:
    opened = await open_page(keyed_server.url("/"))
    page = await unlock(opened)
    await page.get_by_role("button", name="Add a voice").click()
    choose = page.get_by_role("dialog").locator("input[type=file]")
    for amplitude, finding in ((0.0001, "Silent: its level is below -60 dB"), (9, "Clipped: more than 1 %")):
        await choose.set_input_files(noise_wav("bad.wav", amplitude, 5))
        await expect(page.get_by_text(finding)).to_be_visible()
    await choose.set_input_files(noise_wav("ada.wav", 0.2, 5))
    await expect(page.get_by_text(re.compile(r"^5\.0 s, level -19 dB, 0% clipped"))).to_be_visible()
    await page.get_by_label("Transcript").fill("What I said.")
    await page.get_by_label("Name of the voice").fill("Ada")
    await page.get_by_label("How and when the speaker agreed").fill("My own voice")
    add = page.get_by_role("button", name="Add this voice")
    await expect(add).to_be_disabled()
    await page.get_by_role("checkbox").check()
    assert await opened.accessibility_violations() == []
    await add.click()
    await expect(page.get_by_role("radio", name="Ada")).to_be_checked()
    stored = keyed_server.http.get(keyed_server.url("/v1/audio/voices")).json()["data"]
    assert [voice["name"] for voice in stored if voice["type"] == "audio_sample"] == ["Ada"]
    await page.get_by_role("button", name="Play a sample of Ada").click()
    stop = page.get_by_role("button", name="Stop the sample of Ada")
    await expect(stop).to_have_attribute("aria-busy", "false")
    await stop.click()
    opened.requested.clear()
    await page.get_by_role("button", name="Play a sample of Ada").click()
    await expect(stop).to_have_attribute("aria-busy", "false")
    assert opened.requested == []  # the browser has kept it
    await page.get_by_role("button", name="Delete Ada").click()
    await page.get_by_role("button", name="Delete the voice").click()
    await expect(page.get_by_role("radio", name="Default")).to_be_checked()
    await expect(page.get_by_role("radio", name="Ada")).to_have_count(0)


async def test_a_refusal_of_the_server_stands_at_its_field(keyed_server: Any, open_page: Any, unlock: Any) -> None:
    opened = await open_page(keyed_server.url("/"))
    page = await unlock(opened)
    await page.get_by_role("button", name="Add a voice").click()
    content = b"no audio at all"
    await drop(page, "broken.wav", content)
    await expect(page.get_by_text("This browser cannot decode the file")).to_be_visible()
    await page.get_by_label("Transcript").fill("What I said.")
    await page.get_by_label("Name of the voice").fill("Broken")
    await page.get_by_role("checkbox").check()
    await page.get_by_label("How and when the speaker agreed").fill("no")
    await page.get_by_role("button", name="Add this voice").click()
    await expect(page.get_by_label("How and when the speaker agreed")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("How and when the speaker agreed").fill("My own voice")
    await page.get_by_role("button", name="Add this voice").click()
    await expect(page.get_by_text("no audio file that can be decoded")).to_be_visible()
    opened.forgive("400")


async def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file where the dialog takes one."""
    transfer = await page.evaluate_handle(
        """([bytes, name]) => { const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name)); return transfer; }""",
        [list(content), name],
    )
    await page.get_by_text("or drop one here").dispatch_event("drop", {"dataTransfer": transfer})


async def test_many_voices_are_searched_by_name(keyed_server: Any, open_page: Any, unlock: Any) -> None:
    for seed in range(8):
        made = keyed_server.http.post(
            keyed_server.url("/v1/audio/voices"), json={"name": f"voice {seed}", "seed": seed}
        )
        assert made.status_code == 200, made.text
    page = await unlock(await open_page(keyed_server.url("/")))
    await page.get_by_label("Find a voice").fill("VOICE 3")
    await expect(page.get_by_role("region", name="Voice").get_by_role("radio")).to_have_count(1)
    await page.get_by_role("radio", name="voice 3").check()
    await page.get_by_label("Find a voice").fill("no such")
    await expect(page.get_by_text("No voice has “no such” in its name.")).to_be_visible()


@asynccontextmanager
async def with_microphone(path: Path, url: str) -> AsyncIterator[OpenPage]:
    async with chromium(path) as browser, opened_page(browser, url, permissions=["microphone"]) as opened:
        yield opened
        assert opened.problems == []


async def test_the_microphone_is_recorded_with_its_level(
    keyed_server: Any,
    browser_packages: None,  # noqa: ARG001
    unlock: Any,
    noise_wav: Any,
) -> None:
    microphone = noise_wav("microphone.wav", 0.2, 10)
    async with with_microphone(microphone, keyed_server.url("/")) as opened:
        page = await unlock(opened)
        await page.get_by_role("button", name="Add a voice").click()
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(page.get_by_role("meter", name="Level of the microphone")).to_be_visible()
        await expect(page.get_by_text(re.compile(r"^(\d\d|[4-9])\.\d of 30 s"))).to_be_visible()
        assert await opened.accessibility_violations() == []
        await page.get_by_role("button", name="Stop recording").click()
        await expect(page.get_by_text(re.compile(r"^\d+\.\d s, level -(19|2\d) dB"))).to_be_visible()
        await expect(page.get_by_label("Transcript")).to_have_value(re.compile("^The morning was bright and cold"))


async def test_a_drawn_voice_is_played_and_kept(keyed_server: Any, open_page: Any, unlock: Any) -> None:
    opened = await open_page(keyed_server.url("/"))
    page = await unlock(opened)
    await page.get_by_role("button", name="Add a voice").click()
    await page.get_by_role("tab", name="Draw one").click()
    seed = page.get_by_label("Seed", exact=True).last
    first = await seed.input_value()
    await page.get_by_role("button", name="Draw another").click()
    await expect(page.get_by_role("button", name="Stop", exact=True).last).to_be_visible()
    drawn = await seed.input_value()
    assert drawn != first
    assert await opened.accessibility_violations() == []
    await page.get_by_label("Name of the voice").fill("Drawn")
    await page.get_by_role("button", name="Keep this voice").click()
    await expect(page.get_by_role("radio", name="Drawn")).to_be_checked()
    await expect(page.get_by_text(f"Drawn by seed {drawn}")).to_be_visible()
