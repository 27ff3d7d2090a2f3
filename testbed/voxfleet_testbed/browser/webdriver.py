"""WebKitGTK, the engine of Safari as Debian has it, driven by W3C WebDriver over HTTP.

Knows: the few commands of WebDriver that stories need, what MiniBrowser needs to start.
Does not know: which pages exist.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from voxfleet_testbed.browser.chromium import PAGE_SECONDS
from voxfleet_testbed.errors import StartError
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.supervision.processes import KILLED_WITH_CALLER

MINI_BROWSER = "/usr/lib/*/webkit2gtk-4.1/MiniBrowser"
SCREEN = "1280x1000x24"
POLL_SECONDS = 0.05
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, as the standard has it


@dataclass(frozen=True, slots=True)
class WebDriver:
    """One session: a window, and its commands."""

    http: httpx.Client
    session_url: str
    capabilities: dict[str, Any]

    def command(self, path: str, **fields: Any) -> Any:
        """Send a command; return its value. Raises httpx.HTTPStatusError with the driver's message."""
        return value_of(self.http.post(f"{self.session_url}/{path}", json=fields))

    def read(self, path: str) -> Any:
        """Return what a path of the session holds."""
        return value_of(self.http.get(f"{self.session_url}/{path}"))

    def open(self, url: str) -> None:
        """Load a page; its load event has fired when this returns."""
        self.command("url", url=url)

    def evaluate(self, script: str, *arguments: Any) -> Any:
        """Return what the body of a function returns in the page."""
        return self.command("execute/sync", script=script, args=list(arguments))

    def element(self, xpath: str) -> str:
        """Return the id of the first element, once there is one."""
        found: list[dict[str, str]] = self.wait_for(
            lambda: self.command("elements", using="xpath", value=xpath), f"an element {xpath}"
        )
        return found[0][ELEMENT]

    def click(self, xpath: str) -> None:
        """Click an element as a user does, with what the browser allows after a click."""
        self.command(f"element/{self.element(xpath)}/click")

    def type(self, xpath: str, text: str) -> None:
        """Type into a field, or choose the file of a path."""
        self.command(f"element/{self.element(xpath)}/value", text=text)

    def wait_for_script(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns, once that is true."""
        return self.wait_for(lambda: self.evaluate(script, *arguments), script)

    def wait_for(self, observe: Callable[[], Any], wanted: str) -> Any:
        """Return what a function returns, once that is true. Raises TimeoutError, which names what was wanted."""
        deadline = time.monotonic() + PAGE_SECONDS
        while not (seen := observe()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {PAGE_SECONDS:.0f} s: {wanted}")
            time.sleep(POLL_SECONDS)
        return seen

    def screenshot(self, path: Path) -> None:
        """Write a picture of the window, as PNG."""
        path.write_bytes(base64.b64decode(self.read("screenshot")))


def value_of(response: httpx.Response) -> Any:
    """Return a response's value. Raises httpx.HTTPStatusError with the driver's message."""
    value = response.json()["value"]
    if response.is_error:
        raise httpx.HTTPStatusError(
            f"{value['error']}: {value['message']}", request=response.request, response=response
        )
    return value


@contextmanager
def webkit(environment: Mapping[str, str] | None = None) -> Iterator[WebDriver]:
    """Start WebKitGTK's MiniBrowser on a screen of its own."""
    with virtual_screen() as display, driver({**os.environ, "DISPLAY": display, **(environment or {})}) as http:
        binary = next(Path("/").glob(MINI_BROWSER[1:]))
        options = {"webkitgtk:browserOptions": {"binary": str(binary), "args": ["--automation"]}}
        made = value_of(http.post("/session", json={"capabilities": {"alwaysMatch": options}}))
        session = WebDriver(http, f"/session/{made['sessionId']}", made["capabilities"])
        try:
            yield session
        finally:
            http.delete(session.session_url)


@contextmanager
def virtual_screen() -> Iterator[str]:
    """Run an X server without a screen; yield its name."""
    reading, writing = os.pipe()
    command = [*KILLED_WITH_CALLER, "Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as display:
            number = display.readline().strip()
        if not number:
            raise StartError("Xvfb ended before it named its display")
        yield f":{number}"
    finally:
        stop(process)


@contextmanager
def driver(environment: Mapping[str, str]) -> Iterator[httpx.Client]:
    """Run WebKitWebDriver on a free port; yield a client of it."""
    [port] = ports_for_later(1)
    command = [*KILLED_WITH_CALLER, "WebKitWebDriver", f"--port={port}"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2 * PAGE_SECONDS) as http:
            wait_for_driver(http)
            yield http
    finally:
        stop(process)


def wait_for_driver(http: httpx.Client) -> None:
    """Wait until the driver answers. Raises StartError."""
    deadline = time.monotonic() + PAGE_SECONDS
    while time.monotonic() < deadline:
        try:
            if value_of(http.get("/status"))["ready"]:
                return
        except httpx.TransportError:
            time.sleep(POLL_SECONDS)
    raise StartError(f"WebKitWebDriver did not answer within {PAGE_SECONDS:.0f} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process of this module."""
    process.terminate()
    process.wait(PAGE_SECONDS)
