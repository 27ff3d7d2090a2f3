"""One server and one browser for all tests of the page, a server that needs a key, recordings to clone a voice of."""

from __future__ import annotations

import hashlib
import json
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from voxfleet_testbed.browser.chromium import PAGE_SECONDS, OpenPage
from voxfleet_testbed.browser.fixtures import page_opener

FOLDER = Path(__file__).parent
RATE = 48000
RECORDING_SECONDS = 3.0
KEY = "a-key-for-the-page"

expect.set_options(timeout=PAGE_SECONDS * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run this folder's tests in the session's event loop, where the shared browser lives."""
    for item in items:
        if FOLDER in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(shared_browser: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Open pages in the shared browser; starting one for each test takes longer than most stories."""
    async with page_opener(shared_browser) as open_one:
        yield open_one


@pytest.fixture(scope="session")
def server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("page")
    with start_server(folder / "server", tiny, "--voices-dir", str(folder / "voices")) as running:
        running.wait_for_ready()
        yield running


@pytest.fixture(scope="session")
def keyed_server(start_server: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that needs `KEY`."""
    folder = tmp_path_factory.mktemp("keyed")
    keys = folder / "keys"
    keys.write_text(f"tests {hashlib.sha256(KEY.encode()).hexdigest()}\n")
    flags = ("--voices-dir", str(folder / "voices"), "--api-keys-file", str(keys))
    with start_server(folder / "server", tiny, *flags) as running:
        running.wait_for_ready()
        running.http.headers["Authorization"] = f"Bearer {KEY}"
        yield running


@pytest.fixture(scope="session")
def page_key() -> str:
    return KEY


@pytest.fixture(scope="session")
def unlock() -> Any:
    """Give the page its key, where the 401 of its first requests leads."""

    async def enter_key(opened: OpenPage) -> Page:
        page = opened.page
        field = page.get_by_label("API key", exact=True)
        await expect(field).to_be_focused()
        await expect(page.get_by_text("This server needs an API key.")).to_be_visible()
        await page.keyboard.type(KEY)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("radio", name="Default")).to_be_visible()
        opened.forgive("401")
        return page

    return enter_key


@pytest.fixture
def noise_wav(tmp_path: Path) -> Callable[..., Path]:
    """Write noise of an amplitude; beyond 1 it is clipped."""

    def write(name: str, amplitude: float, seconds: float = 5.0) -> Path:
        samples = np.random.default_rng(0).uniform(-1, 1, int(seconds * RATE)) * amplitude
        return write_wav(tmp_path / name, samples)

    return write


def write_wav(path: Path, samples: Any) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Syllables of noise at a good level."""
    seconds = np.arange(int(RATE * RECORDING_SECONDS)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(seconds)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds))
    path = tmp_path_factory.mktemp("recording") / "voice.wav"
    write_wav(path, noise * 0.09)
    return path


@pytest.fixture(scope="session")
def sent_body() -> Any:
    """Return the JSON that a request of the page sent."""

    def read(request: Any) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(request.post_data)
        return body

    return read
