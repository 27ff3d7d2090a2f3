"""The speech page of a gateway whose region sleeps: it says what the text waits for, and speaks after the wake."""

import base64
import json
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import expect

TEXT = "The region was asleep."


def event(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


async def speech(request: web.Request) -> web.StreamResponse:
    """Respond as a speech server does: a second of audio with its sentence, then the end."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", "Voxfleet-Seed": "7"})
    await response.prepare(request)
    start = {"index": 0, "text": TEXT, "at_seconds": 0.0}
    audio = base64.b64encode(b"\x00\x10" * 24_000).decode()
    await response.write(event(type="speech.audio.delta", audio=audio, sentence_starts=[start]))
    done = {"type": "speech.audio.done", "usage": {"total_tokens": 9}, "sentences": [{**start, "until_seconds": 1.0}]}
    await response.write(event(**done))
    return response


async def test_the_page_says_that_a_region_is_waking_and_then_speaks(
    stage: Any, new_pod: Any, start_gateway: Any, open_page: Any, tmp_path: Path
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    gateway = await start_gateway(VOXFLEET_VOICES_DIR=str(tmp_path / "voices"))
    opened = await open_page(gateway.url("/"))
    page = opened.page
    await page.get_by_label("Text", exact=True).fill(TEXT)
    await page.get_by_role("button", name="Speak", exact=True).click()
    waiting = page.get_by_role("status").filter(has_text="Region eu-central is waking; your text waits for it.")
    await waiting.wait_for()
    assert await opened.accessibility_violations() == []
    stage.put_pods("eu-central", await new_pod(before_headers=speech), ready=True)
    await page.locator("[data-figure=firstSound]", has_text="ms").wait_for()
    await expect(page.locator("[data-figure=region]")).to_have_text("eu-central")
    await expect(page.locator("[data-figure=route]")).to_have_text("waits for a wake")
    await expect(waiting).to_have_count(0)
