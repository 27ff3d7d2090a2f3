"""A humming server for tests that are synchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def humming_url(
    tmp_path_factory: pytest.TempPathFactory, start_server: Any, make_model: Any, wait_until: Any
) -> Iterator[str]:
    """A humming server on a loop of its own: the fuzzer is synchronous."""
    loop, up, down = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    told: list[str] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        voices = tmp_path_factory.mktemp("voices")
        async with start_server(make_model(), max_input_characters=60, voices_dir=voices, max_voices=20) as running:
            await wait_until(lambda: running.lifecycle.is_ready)
            told.append(running.url)
            up.set()
            await down.wait()
            await wait_until(lambda: running.load.open_requests == 0)  # whatever was tried, nobody is left

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(60)
    yield told[0]
    loop.call_soon_threadsafe(down.set)
    thread.join(120)
    assert not failed
