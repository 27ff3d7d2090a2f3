"""Debian's Firefox, headless, driven by Playwright over WebDriver BiDi: the same pages and checks as in Chromium.

Knows: the preferences that stand for a user's. Does not know: which pages exist. `fill` of Playwright sets a field's
value without an event that React sees here; tests type instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser, async_playwright

from voxfleet_testbed.browser.chromium import Scheme


@asynccontextmanager
async def firefox(environment: Mapping[str, str], scheme: Scheme = "light") -> AsyncIterator[Browser]:
    """Start Firefox; `environment` is added to this process's, as the one of `sound.silent_sound`."""
    preferences: dict[str, str | float | bool] = {
        "ui.systemUsesDarkTheme": int(scheme == "dark"),
        "ui.prefersReducedMotion": 1,
        "media.cubeb.sandbox": False,  # its audio process may wait for RealtimeKit, which a container has not
    }
    with TemporaryDirectory(prefix="firefox-") as folder:
        program = write_program(Path(folder))
        async with async_playwright() as playwright:
            browser = await playwright.firefox.launch(
                channel="moz-firefox",  # an unpatched Firefox, over BiDi
                executable_path=program,
                firefox_user_prefs=preferences,
                env={**os.environ, **environment},
            )
            try:
                yield browser
            finally:
                await browser.close()


def write_program(folder: Path) -> Path:
    """Write what Playwright starts in Firefox's place: it takes one path, without arguments."""
    program = folder / "firefox"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m voxfleet_testbed.browser.bidi_relay "$@"\n')
    program.chmod(0o700)
    return program
