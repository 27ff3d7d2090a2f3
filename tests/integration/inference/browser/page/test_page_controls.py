"""The speech page's controls in Chromium, against a server that needs a key: key, links, history, keyboard."""

from __future__ import annotations

import re
import wave
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

TEXT = "It rains. You might want to stay."


async def speak(page: Page, text: str = TEXT) -> None:
    await page.get_by_label("Text", exact=True).fill(text)
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("button", name=f"Play “{text}”")).to_be_visible()


async def test_a_wrong_key_is_named_and_the_right_one_loads_the_voices(
    keyed_server: Any, open_page: Any, page_key: str
) -> None:
    opened = await open_page(keyed_server.url("/"))
    field = opened.page.get_by_label("API key", exact=True)
    await expect(field).to_be_focused()
    await field.fill("wrong")
    await opened.page.keyboard.press("Enter")
    await expect(opened.page.get_by_text("The server does not accept this key.")).to_be_visible()
    await field.fill(page_key)
    await opened.page.keyboard.press("Enter")
    await expect(opened.page.get_by_role("radio", name="Default")).to_be_checked()
    opened.forgive("401")
    assert await opened.accessibility_violations() == []


async def test_a_link_restores_settings_and_names_what_it_cannot(
    keyed_server: Any, open_page: Any, unlock: Any, page_key: str
) -> None:
    link = f"#v=1&voice=random&seed=7&cfgValue=99&normalize=false&later=x&text={TEXT.replace(' ', '+')}"
    opened = await open_page(keyed_server.url("/") + link)
    page = await unlock(opened)
    await expect(page.get_by_text("“cfgValue” must be from 1 to 10; given 99.")).to_be_visible()
    await expect(page.get_by_text("“later” is no setting of this page.")).to_be_visible()
    await expect(page.get_by_label("Text", exact=True)).to_have_value(TEXT)
    await expect(page.get_by_role("radio", name="Random")).to_be_checked()
    await expect(page.get_by_label("Seed", exact=True)).to_have_value("7")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Share a link").click()
    await expect(page.get_by_text("The link is copied.")).to_be_visible()
    assert await opened.accessibility_violations() == []
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == keyed_server.url("/") + f"#v=1&voice=random&seed=7&normalize=false&text={TEXT.replace(' ', '+')}"
    assert page_key not in copied


async def test_the_history_survives_a_reload_and_replays_without_a_request(
    keyed_server: Any, open_page: Any, unlock: Any, tmp_path: Path
) -> None:
    opened = await open_page(keyed_server.url("/"))
    page = await unlock(opened)
    await page.get_by_text("Fast", exact=True).click()
    await speak(page)
    await page.reload()
    play = page.get_by_role("button", name=f"Play “{TEXT}”")
    await expect(play).to_be_visible()
    opened.requested.clear()
    await play.click()
    await expect(page.get_by_role("button", name=f"Stop “{TEXT}”")).to_be_visible()
    await page.get_by_role("button", name=f"Download “{TEXT}”").click()
    assert await opened.accessibility_violations() == []
    async with page.expect_download() as kept:
        await page.get_by_role("button", name=re.compile("^WAV as it was played")).click()
    await (await kept.value).save_as(tmp_path / "kept.wav")
    assert "/v1/audio/speech" not in opened.requested
    with wave.open(str(tmp_path / "kept.wav")) as file:
        assert file.getframerate() == 24_000
        assert file.getnframes() > 0
    await page.get_by_role("button", name=f"Download “{TEXT}”").click()
    async with page.expect_download() as made_again:
        await page.get_by_role("button", name="FLAC").click()
    assert re.fullmatch(r"It-rains-You-might-want-to-\d+\.flac", (await made_again.value).suggested_filename)
    assert opened.requested.count("/v1/audio/speech") == 1
    await page.get_by_text("Balanced", exact=True).click()
    await page.get_by_role("button", name=f"Restore text and settings of “{TEXT}”").click()
    await expect(page.get_by_role("radio", name="Fast")).to_be_checked()
    await page.get_by_role("region", name="History").get_by_role("button", name="Clear", exact=True).click()
    await page.get_by_role("button", name="Clear the history").click()
    await page.reload()
    await expect(page.get_by_text("What is spoken here is kept in this browser")).to_be_visible()


async def test_everything_is_reached_by_the_keyboard_alone(keyed_server: Any, open_page: Any, unlock: Any) -> None:
    opened = await open_page(keyed_server.url("/"))
    page = await unlock(opened)
    await page.evaluate("document.activeElement.blur()")
    reached = [await focused_name(page)]
    for _ in range(90):
        await page.keyboard.press("Tab")
        reached.append(await focused_name(page))
    wanted = [
        *("Text", "Default", "Play a sample of Default", "Add a voice", "Balanced", "Save as preset"),
        *("Guidance (cfg)", "Timesteps", "Speed", "Seed", "Draw one", "Spell out numbers, dates and units"),
        *("Format of the download", "Reset all", "Share a link", "API key", "Saved"),
    ]
    assert [name for name in wanted if not any(each.startswith(name) for each in reached)] == []
    await choose_by_keyboard(page)


async def focused_name(page: Page) -> str:
    return str(
        await page.evaluate(
            """() => { const at = document.activeElement;
            return (at.ariaLabel || at.labels?.[0]?.textContent || at.textContent || "").replace("*", "").trim(); }"""
        )
    )


async def choose_by_keyboard(page: Page) -> None:
    """Change a voice, a preset and a number, save a preset, and leave the dialog, without the mouse."""
    await page.get_by_role("radio", name="Default").focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("radio", name="Random")).to_be_checked()
    slider = page.get_by_role("slider", name="Timesteps")
    await slider.focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("textbox", name="Timesteps")).to_have_value("11")
    await page.get_by_role("button", name="Save as preset").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("Mine")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("radio", name="Mine")).to_be_checked()
    add = page.get_by_role("button", name="Add a voice")
    await add.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(add).to_be_focused()
