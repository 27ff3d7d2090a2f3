from __future__ import annotations

from typing import Any

import httpx

README = """\
# Prices

It costs **$3.50** today. 价格是3.14元。
"""


async def test_normalize_writes_out_each_sentence_in_its_language(server: Any) -> None:
    before = len(server.model.prefilled)
    body = {"model": "voxcpm-1.5", "input": README, "response_format": "pcm", "normalize": True}
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        assert (await client.post("/v1/audio/speech", json=body)).status_code == 200
    assert server.model.prefilled[before:] == [
        "Prices",
        "It costs three point five dollars today.",
        "价格是三点一四元。",
    ]


async def test_without_normalize_the_text_is_spoken_as_it_is_written(server: Any) -> None:
    before = len(server.model.prefilled)
    body = {"model": "voxcpm-1.5", "input": "It costs **$3.50** today.", "response_format": "pcm"}
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        assert (await client.post("/v1/audio/speech", json=body)).status_code == 200
    assert server.model.prefilled[before:] == ["It costs **$3.50** today."]
