"""Pytest's fixtures for tests in a browser: `open_page` opens pages, and fails a test for what goes wrong in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from voxfleet_testbed.browser.chromium import PAGE_SECONDS, OpenPage, chromium, opened_page
from voxfleet_testbed.browser.windows import Engine
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.packages import (
    BROWSER_PACKAGE_OF,
    FIREFOX_PACKAGE_OF,
    WEBKIT_PACKAGE_OF,
    install_packages,
    missing_packages,
)
from voxfleet_testbed.settings import Settings

expect.set_options(timeout=PAGE_SECONDS * 1000)


@pytest.fixture(scope="session")
def browser_packages(testbed_settings: Settings) -> None:
    """Chromium, and a font that has Chinese."""
    with skipping(testbed_settings):
        install_packages(table=BROWSER_PACKAGE_OF)


@pytest.fixture(scope="session")
def firefox_packages() -> None:
    """Firefox, and a sound server for it."""
    skip_without(FIREFOX_PACKAGE_OF)


@pytest.fixture(scope="session")
def webkit_packages() -> None:
    """WebKitGTK's driver, and a screen for it."""
    skip_without(WEBKIT_PACKAGE_OF)


@pytest.fixture(params=["firefox", "webkit"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Run a test once in each further engine, for `windows.window_in`."""
    name: Engine = request.param
    skip_without({"firefox": FIREFOX_PACKAGE_OF, "webkit": WEBKIT_PACKAGE_OF}[name])
    return name


def skip_without(table: Mapping[str, str]) -> None:
    """Skip a test where packages are missing: 200 MB, which not every run of the tests is to download."""
    if packages := missing_packages(table=table):
        pytest.skip(f"not installed: {' '.join(packages)}; `make browsers` installs them and runs this test")


@pytest.fixture
async def browser(browser_packages: None, request: pytest.FixtureRequest) -> AsyncIterator[Browser]:  # noqa: ARG001
    """Chromium for one test; a marker `microphone(path)` gives it a recording."""
    marker = request.node.get_closest_marker("microphone")
    async with chromium(marker.args[0] if marker else None) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_browser(browser_packages: None) -> AsyncIterator[Browser]:  # noqa: ARG001
    """Chromium for all tests whose event loop is the session's; each page has a fresh profile."""
    async with chromium() as started:
        yield started


@pytest.fixture
async def open_page(browser: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Open a URL as `chromium.opened_page` does. Afterwards each page must be free of problems."""
    async with page_opener(browser) as open_one:
        yield open_one


@asynccontextmanager
async def page_opener(browser: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Yield a function that opens pages; when the test is over, fail it for what went wrong in them."""
    opened: list[OpenPage] = []
    async with AsyncExitStack() as stack:

        async def open_one(url: str, **options: Any) -> OpenPage:
            opened.append(await stack.enter_async_context(opened_page(browser, url, **options)))
            return opened[-1]

        yield open_one
    problems = [problem for each in opened for problem in each.problems]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
