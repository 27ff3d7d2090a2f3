"""Takes the pictures of docs/pictures from the running product: the speech page with the demo voice, a fleet's page.

    .venv/bin/python scripts/screenshots.py                 # make screenshots
    .venv/bin/python scripts/screenshots.py --fleet URL     # and the fleet page of a gateway, as `make demo` prints it

Knows: how to start a speech server of this checkout, and what a picture shows. Look at each before it is committed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxfleet_testbed.browser.chromium import Scheme, chromium, opened_page
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.programs.packages import BROWSER_PACKAGE_OF, install_packages

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/pictures"
MAX_BYTES = 200_000
START_SECONDS = 300
TEXT = "The morning was bright and cold. We walked along the river for an hour, and came home hungry."
LOOKS: dict[str, tuple[str, Scheme]] = {"speak": ("en", "light"), "speak-zh-dark": ("zh", "dark")}


@contextmanager
def serving() -> Iterator[str]:
    """Serve the demo voice on free ports; yield the page's URL once it is ready."""
    ports = ports_for_later(3)
    flags = zip(("--port", "--metrics-port", "--internal-port"), map(str, ports), strict=True)
    command = [sys.executable, "-m", "voxfleet_inference", "serve", "--host", "127.0.0.1", "--device", "cpu"]
    command += ["--model-path", str(ROOT / "inference/models/demo"), *(part for pair in flags for part in pair)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{ports[0]}"
            wait_until_ready(url, server)
            yield url
        finally:
            server.terminate()


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server is ready; exit when it ends before, or takes START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5):  # noqa: S310  # http, to this machine
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    sys.exit("the speech server did not become ready")


async def take(url: str) -> None:
    """Speak in each look, and save the page as it is then."""
    speak_once(url)
    async with chromium() as browser:
        for name, (language, scheme) in LOOKS.items():
            async with opened_page(browser, url, language=language, scheme=scheme) as opened:
                page = opened.page
                await page.locator("textarea").first.fill(TEXT)
                await page.locator("textarea").first.press("Control+Enter")
                await page.locator('[data-figure="firstSound"]').filter(has_text=re.compile("[0-9]")).wait_for()
                await page.locator("mark").filter(has_text="We walked").wait_for()  # the second sentence
                await page.screenshot(path=PICTURES / f"{name}.png")
                if opened.problems:
                    sys.exit("\n".join(opened.problems))


async def take_fleet(url: str) -> None:
    """Save the fleet page with its first region chosen."""
    async with (
        chromium() as browser,
        opened_page(browser, f"{url.rstrip('/')}/fleet", language="en", scheme="light") as opened,
    ):
        await opened.page.locator("tbody tr").first.click()
        await opened.page.get_by_role("figure").locator("path").first.wait_for()  # the map is drawn
        await opened.page.screenshot(path=PICTURES / "fleet.png")


def speak_once(url: str) -> None:
    """Speak before the first picture, which would show the figures of a server's first request."""
    body = json.dumps({"model": "voxcpm-1.5", "input": TEXT, "normalize": True}).encode()  # loads the normalizer too
    request = urllib.request.Request(f"{url}/v1/audio/speech", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=START_SECONDS) as response:  # noqa: S310
        response.read()


def main() -> None:
    """Take all pictures; fail for one that is too large for the docs."""
    parser = argparse.ArgumentParser(description="Take the pictures of docs/pictures.")
    parser.add_argument("--fleet", metavar="URL", help="a gateway, whose fleet page is taken too")
    fleet = parser.parse_args().fleet
    install_packages(table=BROWSER_PACKAGE_OF)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with serving() as url:
        asyncio.run(take(url))
    if fleet:
        asyncio.run(take_fleet(fleet))
    for picture in sorted(PICTURES.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
        if size > MAX_BYTES:
            sys.exit(f"{picture.name} has {size:,} bytes; the limit is {MAX_BYTES:,}")


if __name__ == "__main__":
    main()
