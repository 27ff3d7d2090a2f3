from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

TEXT = " ".join(f"This is sentence number {number}, and it is long enough." for number in range(6))

BODY = {"model": "voxcpm-1.5", "input": TEXT, "response_format": "pcm", "sample_rate": 44100}


async def test_a_disconnect_cancels_every_sentence_at_once(server: Any, wait_until: Any) -> None:
    server.model.step_seconds, before = 0.5, server.model.steps_taken
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
        client.stream("POST", "/v1/audio/speech", json=BODY) as response,
    ):
        await anext(response.aiter_raw())
        await wait_until(lambda: len(server.model.assigned) > 2, 60)
    await wait_until(lambda: not server.model.assigned, 60)
    await wait_until(lambda: server.load.open_requests == 0, 60)
    steps = server.model.steps_taken
    assert steps - before < len(TEXT) - 10  # by far not all of it
    server.model.step_seconds = 0.0
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        after = await client.post("/v1/audio/speech", json={**BODY, "input": "One more."})
    assert after.status_code == 200
    assert server.model.steps_taken == steps + len("One more.")


README = """\
# Prices

It costs **$3.50** today. 价格是3.14元。
"""


async def test_normalize_spells_out_each_sentence_in_its_language(server: Any) -> None:
    before = len(server.model.prefilled)
    body = {"model": "voxcpm-1.5", "input": README, "response_format": "pcm", "normalize": True}
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        assert (await client.post("/v1/audio/speech", json=body)).status_code == 200
    assert server.model.prefilled[before:] == [
        "Prices",
        "It costs three dollars and fifty cents today.",
        "价格是三点一四元。",
    ]


async def test_without_normalize_the_text_is_spoken_as_it_is_written(server: Any) -> None:
    before = len(server.model.prefilled)
    body = {"model": "voxcpm-1.5", "input": "It costs **$3.50** today.", "response_format": "pcm"}
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        assert (await client.post("/v1/audio/speech", json=body)).status_code == 200
    assert server.model.prefilled[before:] == ["It costs **$3.50** today."]


RUNAWAYS = "First ~ sentence is here. The second ~ follows it. And the third ~ ends."


@pytest.mark.parametrize("changes", [{"seed": 5}, {"seed": 5, "stream": False}, {"seed": 5, "voice": "random"}])
async def test_equal_requests_at_once_are_the_same_audio(
    start_server: Any, wait_until: Any, make_model: Any, logged: Callable[[], str], changes: dict[str, Any]
) -> None:
    """Of eight requests for two rows, the first ones are sent while they are decoded, and the last ones wait."""
    body = {"model": "voxcpm-1.5", "input": RUNAWAYS, "response_format": "pcm", **changes}
    async with start_server(make_model(step_seconds=0.0005), max_batch_size=2) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            alone = await client.post("/v1/audio/speech", json=body)
            together = await asyncio.gather(*(client.post("/v1/audio/speech", json=body) for _ in range(8)))
    assert [each.status_code for each in together] == [200] * 8
    assert {each.content for each in together} == {alone.content}
    lines = [json.loads(line) for line in logged().splitlines() if '"event": "speech"' in line]
    attempts = 2 if "stream" in changes else 1
    assert [line["attempts"] for line in lines] == [[attempts] * 3] * 9
