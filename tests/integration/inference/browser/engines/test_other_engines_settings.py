"""The speech page in Firefox and in WebKitGTK: a link's settings, a voice's sample, a download, real time, Chinese.

Firefox has no sound device here: what it plays into one is the story of test_other_engines.py.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from voxfleet_testbed.browser.chromium import PAGE_SECONDS
from voxfleet_testbed.browser.speech_page import RECORD_MARKS
from voxfleet_testbed.browser.windows import Engine, Window, window_in
from voxfleet_testbed.fixtures import own_address_or_skip

SENTENCES = ["今天天气很好。", "我们去散步吧。"]
TEXT = "".join(SENTENCES)
SEED = str(os.getpid())  # of the file's name: no file of an earlier run is taken for this one's
SHARED = {"v": "1", "seed": SEED, "speed": "1.25", "text": TEXT}
SHOWN = """const field = (label) => [...document.querySelectorAll("input")].find((each) =>
    each.type === "text" && each.labels?.[0]?.textContent === label).value;
const voice = document.querySelector("input[type=radio][value=random]");
return [document.querySelector("textarea").value, field("Seed"), field("Speed"), voice.checked];"""
# A sample may end before a test looks: its button says while it plays that it can be stopped.
RECORD_SAMPLE = """window.hasPlayed = false;
new MutationObserver(() => {
    hasPlayed ||= document.querySelector('[aria-label="Stop the sample of Default"][aria-busy=false]') !== null;
}).observe(document.body, {subtree: true, childList: true, attributes: true});"""


@pytest.fixture(scope="module")
def reachable_server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server at every address of this machine: Firefox makes no WebRTC connection to 127.0.0.1."""
    own_address_or_skip()
    folder = tmp_path_factory.mktemp("reachable")
    flags = ("--host", "0.0.0.0", "--voices-dir", str(folder / "voices"))  # noqa: S104
    with start_server(folder / "server", tiny, *flags) as running:
        running.wait_for_ready()
        yield running


async def test_a_link_a_sample_a_download_real_time_and_chinese(reachable_server: Any, engine: Engine) -> None:
    link = reachable_server.url("/#" + urlencode(SHARED | {"voice": "random"}))
    async with window_in(engine, link, environment={"PULSE_SERVER": "unix:/nonexistent"}) as page:
        await page.see("//label[.='Random']")  # the voices come after the page
        assert await page.evaluate(SHOWN) == [TEXT, SEED, "1.25", True]
        await page.evaluate(RECORD_SAMPLE)
        await page.click("//button[@aria-label='Play a sample of Default']")
        await until(page, "return hasPlayed", bool)
        await page.click("//label[.='Default']")
        await page.click(button("Speak"))
        await save_the_speech(page)
        await share_a_link(page)
        await speak_in_real_time(page, engine)
        await page.click("//label[.='中文']")
        await page.see(button("朗读"))
        assert await page.evaluate("return document.documentElement.lang") == "zh"
        assert await page.problems() == []


async def save_the_speech(page: Window) -> None:
    """As it came, once it is in the history; the file's name is of the text."""
    await page.click(f"//button[@aria-label='Download “{TEXT}”']")
    await page.click(button("WAV as it was played"))
    audio = await page.downloaded(f"今天天气很好-我们去散步吧-{SEED}.wav")
    assert audio[:4] == b"RIFF"
    assert len(audio) > 24_000  # half a second


async def share_a_link(page: Window) -> None:
    """Of the settings as they are now: with the default voice, which a link leaves out."""
    await page.click(button("Share a link"))
    await page.see("//input[@aria-label='Link']")
    link = await page.evaluate("return document.querySelector('input[aria-label=Link]').value")
    assert {name: value for name, [value] in parse_qs(urlsplit(link).fragment).items()} == SHARED
    await page.press("//input[@aria-label='Link']", "Escape")


async def speak_in_real_time(page: Window, engine: Engine) -> None:
    """Over WebRTC, or over HTTP with a word about why."""
    await page.evaluate(RECORD_MARKS)
    await page.click("//label[starts-with(., 'Real time')]")
    await page.click(button("Speak"))
    expected = "no waveform, no download" if engine == "firefox" else "This browser has no WebRTC"
    await page.see(f"//*[contains(text(), '{expected}')]")
    await until(page, "return marked", lambda marked: marked == SENTENCES)


async def until(page: Window, script: str, is_reached: Callable[[Any], bool]) -> None:
    """Return once a script returns what is waited for."""
    async with asyncio.timeout(PAGE_SECONDS):
        while not is_reached(await page.evaluate(script)):  # noqa: ASYNC110  # no event in all engines
            await asyncio.sleep(0.1)


def button(name: str) -> str:
    """Return the XPath of a button that can be used, by the start of its text."""
    return f"//button[starts-with(normalize-space(.), '{name}')][not(@disabled)]"
