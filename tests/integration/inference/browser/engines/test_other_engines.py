"""The page in Firefox and in WebKitGTK, Safari's engine: loads by its policy, speaks, is stopped, remembers.

Chromium's tests have every story; these find what an engine lacks. `make browsers` installs both and runs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from playwright.async_api import expect
from voxfleet_testbed.browser.chromium import OpenPage, opened_page
from voxfleet_testbed.browser.firefox import firefox
from voxfleet_testbed.browser.sound import silent_sound
from voxfleet_testbed.browser.speech_page import RECORD_MARKS, figure, wait_for_the_end
from voxfleet_testbed.browser.webdriver import WebDriver, webkit

FIRST, SECOND = "A first sentence stands here.", "And this is the second one."
TEXT = f"{FIRST} {SECOND}"
LABEL = f"{TEXT[:40]}…"  # of its row in the history
LONG_TEXT = " ".join([TEXT] * 40)
# WebDriver reads no console: the page keeps what goes wrong from here on, and what its policy has refused.
PROBLEMS = """window.problems = [];
addEventListener("error", (event) => problems.push(event.message));
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", (event) => problems.push(event.violatedDirective));
for (const name of ["error", "warn"]) console[name] = (...given) => problems.push(given.join(" "));"""
# Firefox may freeze a tab that asks for either while its audio thread is late: the page is to ask for neither.
FREEZING = """const asked = (name) => console.error(`${name} was asked for`);
Object.defineProperty(AudioContext.prototype, "outputLatency", {get: () => asked("outputLatency")});
AudioContext.prototype.getOutputTimestamp = () => asked("getOutputTimestamp") ?? {};
undefined"""


@pytest.fixture
def sound(firefox_packages: None) -> Iterator[dict[str, str]]:  # noqa: ARG001
    with silent_sound() as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def firefox_page(sound: dict[str, str], server: Any) -> AsyncIterator[OpenPage]:
    async with firefox(sound, "dark") as browser, opened_page(browser, link(server, TEXT), scheme="dark") as opened:
        yield opened
        assert opened.problems == []


@pytest.fixture
def webkit_page(webkit_packages: None, server: Any) -> Iterator[WebDriver]:  # noqa: ARG001
    with webkit() as driver:
        driver.open(link(server, TEXT))
        driver.evaluate(RECORD_MARKS + PROBLEMS)
        yield driver
        assert driver.evaluate("return problems") == []


def link(server: Any, text: str) -> str:
    """Return a link with a text: typing one by key strokes takes seconds."""
    return str(server.url("/#" + urlencode({"v": "1", "text": text})))


async def test_firefox_speaks_stops_and_remembers(firefox_page: OpenPage, server: Any) -> None:
    page = firefox_page.page
    assert await page.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
    await page.evaluate(RECORD_MARKS + FREEZING)
    await page.get_by_role("button", name="Speak", exact=True).click()
    await wait_for_the_end(page)
    assert await page.evaluate("marked") == [FIRST, SECOND]
    assert 0 < await figure(page, "firstAudio") <= await figure(page, "firstSound")
    await page.get_by_label("Text", exact=True).press_sequentially(" " + TEXT)
    await page.keyboard.press("Control+Enter")
    await page.locator("mark").wait_for()
    await page.keyboard.press("Escape")
    await page.locator("mark").wait_for(state="detached")
    server.wait_for_idle()
    await page.reload()
    await page.get_by_role("button", name=f"Play “{LABEL}”", exact=True).last.click()
    await page.get_by_role("button", name=f"Stop “{LABEL}”", exact=True).wait_for()


async def test_without_a_sound_device_the_page_says_so_and_keeps_the_speech(
    firefox_packages: None,  # noqa: ARG001
    server: Any,
) -> None:
    soundless = {"PULSE_SERVER": "unix:/nonexistent"}
    async with firefox(soundless) as browser, opened_page(browser, link(server, TEXT)) as opened:
        page = opened.page
        await page.get_by_role("button", name="Speak", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("No sound comes out")
        await page.get_by_role("button", name=f"Download “{LABEL}”", exact=True).wait_for()
        assert opened.problems == []


def test_webkit_speaks_stops_and_remembers(webkit_page: WebDriver, server: Any) -> None:
    page = webkit_page
    page.click(button("Speak"))
    page.wait_for_script("""return document.querySelector('[aria-label="Play again"]:enabled') !== null""")
    assert page.evaluate("return marked") == [FIRST, SECOND]
    figures = page.evaluate(
        """return ["firstAudio", "firstSound"].map(
            (name) => parseFloat(document.querySelector(`[data-figure=${name}]`).textContent.replace(",", "")))"""
    )
    assert 0 < figures[0] <= figures[1]
    assert page.evaluate("return problems") == []
    page.open(link(server, LONG_TEXT))  # the fragment alone: the page restores it without a load
    page.command("refresh")
    page.evaluate(RECORD_MARKS + PROBLEMS)
    page.click(button("Speak"))
    page.element("//mark")
    page.click(button("Stop"))
    page.wait_for_script("return document.querySelector('mark') === null")
    server.wait_for_idle()
    page.click(f"//button[@aria-label='Play “{LABEL}”']")  # kept over the reload, also in a private window
    page.element(f"//button[@aria-label='Stop “{LABEL}”']")


def button(name: str) -> str:
    """Return the XPath of a button by the start of its text."""
    return f"//button[starts-with(normalize-space(.), '{name}')]"
