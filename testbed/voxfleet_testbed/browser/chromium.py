"""Debian's Chromium, headless: opens pages in a language and a colour scheme, with a recording as the microphone.

Knows: Playwright, which flags a container needs. Does not know: which pages exist.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from voxfleet_testbed.settings import REPOSITORY

Scheme = Literal["light", "dark"]
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
AXE = REPOSITORY / "web/node_modules/axe-core/axe.min.js"
OWN_SCHEMES = frozenset({"blob", "data", "about"})  # no network
PAGE_SECONDS = 30.0  # for a loaded machine; Playwright's own waits are events, and end as soon as they can
SIZE = {"width": 1280, "height": 900}


@asynccontextmanager
async def chromium(microphone: Path | None = None) -> AsyncIterator[Browser]:
    """Start Chromium; `microphone` is a WAV file that it records in a loop, without asking the user."""
    flags = ["--autoplay-policy=no-user-gesture-required"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses root otherwise
    if microphone is not None:
        flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=flags)
        try:
            yield browser
        finally:
            await browser.close()


def executable() -> str:
    """Return Chromium's path, as Debian installs it."""
    return "/usr/bin/chromium"


@dataclass  # without slots: Playwright keeps its wrappers of methods that it calls in attributes
class OpenPage:
    """A page, and what went wrong in it so far."""

    page: Page
    base_url: str
    problems: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)  # the paths of its requests

    def on_console(self, message: ConsoleMessage) -> None:
        """Keep errors and warnings: a violated policy is one, and so is a resource that is missing."""
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def on_page_error(self, error: Any) -> None:
        """Keep an error that no handler of the page caught."""
        self.problems.append(f"uncaught: {error}")

    def on_request(self, request: Request) -> None:
        """Keep a request to another host."""
        url, own = urlsplit(request.url), urlsplit(self.base_url)
        if url.scheme in OWN_SCHEMES:
            return
        self.requested.append(url.path)
        if url.netloc != own.netloc:
            self.problems.append(f"request to another host: {request.url}")

    def forgive(self, *parts: str) -> None:
        """Drop the problems that name all of these: a test that provokes an error expects it."""
        self.problems = [each for each in self.problems if not all(part in each for part in parts)]

    async def accessibility_violations(self) -> list[str]:
        """Return what axe finds in the page as it is now: each rule, with the elements that break it."""
        await self.page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
        found: dict[str, Any] = await self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


@asynccontextmanager
async def opened_page(
    browser: Browser, url: str, *, language: str = "en", scheme: Scheme = "light", **options: Any
) -> AsyncIterator[OpenPage]:
    """Open a URL in a fresh profile with more of Playwright's options; the page has rendered when this returns."""
    context = await browser.new_context(
        locale=LOCALES[language],
        color_scheme=scheme,
        reduced_motion="reduce",  # no picture and no check in the middle of a transition
        **{"viewport": SIZE, **options},
    )
    context.set_default_timeout(PAGE_SECONDS * 1000)
    page = await context.new_page()
    opened = OpenPage(page, url)
    page.on("console", opened.on_console)
    page.on("pageerror", opened.on_page_error)
    page.on("request", opened.on_request)
    try:
        await page.goto(url)
        await page.locator("h1").first.wait_for()
        yield opened
    finally:
        await context.close()
