"""One page in Firefox or in WebKitGTK, by the steps that stories in both engines share; an XPath names an element.

Knows: how each engine is driven, and where it reports what goes wrong in a page, from its first script on.
Does not know: which pages exist.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Literal
from urllib.parse import urljoin

from playwright.async_api import Page

from voxfleet_testbed.browser.chromium import PAGE_SECONDS, OpenPage, Scheme, opened_page
from voxfleet_testbed.browser.firefox import firefox
from voxfleet_testbed.browser.webdriver import POLL_SECONDS, WebDriver, webkit

Engine = Literal["firefox", "webkit"]
Key = Literal["Enter", "Escape"]
KEYS: dict[Key, str] = {"Enter": "\ue007", "Escape": "\ue00c"}  # as WebDriver has them
REDUCED_MOTION = "[Settings]\ngtk-enable-animations=0\n"  # no click into the middle of a transition
IS_SHOWN = """const found = document.evaluate(arguments[0], document, null, XPathResult.FIRST_ORDERED_NODE_TYPE, null);
return found.singleNodeValue?.getClientRects().length > 0;"""
# WebDriver reads no console. A window that a page opens can be listened to before its first script runs.
OPEN_LISTENING = """const [url] = arguments, button = document.createElement("button");
button.textContent = "open";
button.onclick = () => {
    const opened = window.open(url), problems = opened.problems = [];
    opened.addEventListener("error", (event) => problems.push(event.message));
    opened.addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
    opened.addEventListener("securitypolicyviolation", (event) => problems.push("refused: " + event.violatedDirective));
    for (const name of ["error", "warn"]) opened.console[name] = (...given) => problems.push(given.join(" "));
};
document.body.replaceChildren(button);"""


@dataclass(frozen=True, slots=True)
class FirefoxWindow:
    """Firefox, by Playwright."""

    opened: OpenPage

    @property
    def page(self) -> Page:
        """Playwright's page."""
        return self.opened.page

    async def click(self, xpath: str) -> None:
        """Click an element, once it is shown."""
        await self.page.locator(f"xpath={xpath}").first.click()

    async def type(self, xpath: str, text: str) -> None:
        """Type into an element, key by key."""
        await self.page.locator(f"xpath={xpath}").first.press_sequentially(text)

    async def press(self, xpath: str, key: Key) -> None:
        """Press a key in an element."""
        await self.page.locator(f"xpath={xpath}").first.press(key)

    async def see(self, xpath: str) -> None:
        """Return once an element is shown."""
        await self.page.locator(f"xpath={xpath}").first.wait_for()

    async def miss(self, xpath: str) -> None:
        """Return once an element is no longer shown."""
        await self.page.locator(f"xpath={xpath}").first.wait_for(state="hidden")

    async def evaluate(self, script: str) -> Any:
        """Return what the body of a function returns in the page."""
        return await self.page.evaluate(f"() => {{ {script} }}")

    async def reload(self) -> None:
        """Load the page again."""
        await self.page.reload()

    async def downloaded(self, name: str) -> bytes:
        """Return a file that the page has saved, once it is complete; Playwright does not report it."""
        return await asyncio.to_thread(file_in, Path(gettempdir()), f"playwright-artifacts-*/{name}")

    async def problems(self) -> list[str]:
        """Return what has gone wrong in the page so far."""
        return self.opened.problems


@dataclass(frozen=True, slots=True)
class WebKitWindow:
    """WebKitGTK, by WebDriver; its calls block, so each has a thread."""

    driver: WebDriver
    home: Path
    kept: list[str] = field(default_factory=list)  # problems of earlier loads

    async def click(self, xpath: str) -> None:
        """Click an element, once it is shown."""
        await self.see(xpath)
        await asyncio.to_thread(self.driver.click, xpath)

    async def type(self, xpath: str, text: str) -> None:
        """Type into an element, key by key."""
        await self.see(xpath)
        await asyncio.to_thread(self.driver.type, xpath, text)

    async def press(self, xpath: str, key: Key) -> None:
        """Press a key in an element."""
        await self.type(xpath, KEYS[key])

    async def see(self, xpath: str) -> None:
        """Return once an element is shown."""
        await asyncio.to_thread(self.driver.wait_for_script, IS_SHOWN, xpath)

    async def miss(self, xpath: str) -> None:
        """Return once an element is no longer shown."""
        await asyncio.to_thread(self.driver.wait_for_script, f"return !(() => {{ {IS_SHOWN} }})()", xpath)

    async def evaluate(self, script: str) -> Any:
        """Return what the body of a function returns in the page."""
        return await asyncio.to_thread(self.driver.evaluate, script)

    async def reload(self) -> None:
        """Load the page again."""
        self.kept.extend(await self.evaluate("return window.problems ?? []"))
        await asyncio.to_thread(self.driver.command, "refresh")

    async def downloaded(self, name: str) -> bytes:
        """Return a file that the page has saved, once it is complete."""
        return await asyncio.to_thread(file_in, self.home, name)

    async def problems(self) -> list[str]:
        """Return what has gone wrong in the page so far."""
        return [*self.kept, *await self.evaluate("return window.problems ?? []")]


Window = FirefoxWindow | WebKitWindow


@asynccontextmanager
async def window_in(
    engine: Engine, url: str, scheme: Scheme = "light", environment: Mapping[str, str] | None = None
) -> AsyncIterator[Window]:
    """Open a page in an engine with more of an environment; an error in the block says what the page shows."""
    async with OPENERS[engine](url, scheme, environment or {}) as window:
        try:
            yield window
        except Exception as error:
            error.add_note(await shown_in(window))
            raise


async def shown_in(window: Window) -> str:
    """Return the page's text and its problems, as far as the page still answers."""
    try:
        async with asyncio.timeout(PAGE_SECONDS):
            text, problems = await window.evaluate("return document.body.innerText"), await window.problems()
    except Exception as error:  # noqa: BLE001  # the first error is the one to report
        return f"the page does not answer: {error!r}"
    return f"the page shows:\n{text}\nits problems: {problems}"


@asynccontextmanager
async def firefox_window(url: str, scheme: Scheme, environment: Mapping[str, str]) -> AsyncIterator[Window]:
    """Open a page in a fresh Firefox."""
    async with firefox(environment, scheme) as browser, opened_page(browser, url, scheme=scheme) as opened:
        yield FirefoxWindow(opened)


@asynccontextmanager
async def webkit_window(url: str, scheme: Scheme, environment: Mapping[str, str]) -> AsyncIterator[Window]:
    """Open a page in a fresh WebKitGTK."""
    with TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True) as home:
        session = webkit({**environment, **desktop_in(Path(home), scheme)})
        driver = await asyncio.to_thread(session.__enter__)
        try:
            await asyncio.to_thread(open_listening, driver, url)
            yield WebKitWindow(driver, Path(home))
        finally:
            await asyncio.to_thread(session.__exit__, None, None, None)


def desktop_in(home: Path, scheme: Scheme) -> dict[str, str]:
    """Write a user's settings, which WebKitGTK takes from GTK; return the environment of a program of that user."""
    settings = home / ".config/gtk-3.0/settings.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(REDUCED_MOTION)
    theme = {"GTK_THEME": "Adwaita:dark"} if scheme == "dark" else {}
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), **theme}


def open_listening(driver: WebDriver, url: str) -> None:
    """Open a page in a second window of the session, which keeps its problems in `problems`."""
    driver.open(urljoin(url, "/health/live"))  # of the same origin, without a policy
    first = driver.read("window")
    driver.evaluate(OPEN_LISTENING, url)
    driver.click("//button")
    others = driver.wait_for(lambda: [each for each in driver.read("window/handles") if each != first], "a window")
    driver.command("window", handle=others[0])
    driver.wait_for_script(IS_SHOWN, "//h1")


def file_in(folder: Path, pattern: str) -> bytes:
    """Return the newest file that matches, once there is one: an engine gives it its name when it is complete."""
    deadline = time.monotonic() + PAGE_SECONDS
    while not (found := list(folder.glob(pattern))):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PAGE_SECONDS:.0f} s: a file {folder}/{pattern}")
        time.sleep(POLL_SECONDS)
    return max(found, key=lambda path: path.stat().st_mtime).read_bytes()


OPENERS = {"firefox": firefox_window, "webkit": webkit_window}
