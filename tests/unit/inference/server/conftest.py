"""A server with the tone model for synchronous tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tone_server_url(
    tmp_path_factory: pytest.TempPathFactory, start_server: Any, make_model: Any, wait_until: Any
) -> Iterator[str]:
    """A server with the tone model on its own thread's event loop: the fuzzer is synchronous."""
    loop, up, down = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        voices = tmp_path_factory.mktemp("voices")
        async with start_server(make_model(), max_input_characters=60, voices_dir=voices, max_voices=20) as running:
            await wait_until(lambda: running.lifecycle.is_ready)
            urls.append(running.url)
            up.set()
            await down.wait()
            await wait_until(lambda: running.load.open_requests == 0)  # no request stays open, whatever was sent

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(60)
    yield urls[0]
    loop.call_soon_threadsafe(down.set)
    thread.join(120)
    assert not failed
