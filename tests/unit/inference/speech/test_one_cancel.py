from __future__ import annotations

from typing import Any

import httpx

TEXT = " ".join(f"This is sentence number {number}, and it is long enough." for number in range(6))
BODY = {"model": "voxcpm-1.5", "input": TEXT, "response_format": "pcm", "sample_rate": 44100}


async def test_a_client_who_leaves_frees_every_sentence_at_once(server: Any, wait_until: Any) -> None:
    server.model.step_seconds, before = 0.2, server.model.steps_taken
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
        client.stream("POST", "/v1/audio/speech", json=BODY) as response,
    ):
        await anext(response.aiter_raw())
        await wait_until(lambda: len(server.model.assigned) > 2, 60)
    await wait_until(lambda: not server.model.assigned, 60)
    await wait_until(lambda: server.service.load.open_requests == 0, 60)
    steps = server.model.steps_taken
    assert steps - before < len(TEXT) - 10  # by far not all of it
    server.model.step_seconds = 0.0
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        after = await client.post("/v1/audio/speech", json={**BODY, "input": "One more."})
    assert after.status_code == 200
    assert server.model.steps_taken == steps + len("One more.")
