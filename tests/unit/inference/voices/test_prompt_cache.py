from __future__ import annotations

import asyncio

import numpy as np
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.voices.prompt_cache import PromptCache


def prompt(patches: int) -> VoicePrompt:
    return VoicePrompt("so", np.zeros((patches, 4, 64), np.float32))


async def test_the_least_recently_used_prompt_is_evicted_at_the_limit() -> None:
    cache, made = PromptCache(max_bytes=3 * 1024), []

    async def make(name: str, patches: int) -> VoicePrompt:
        made.append(name)
        return prompt(patches)

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        await cache.get(name, lambda name=name: make(name, 1))
    assert made == ["a", "b", "c", "d", "b"]
    assert cache.held_bytes == 3 * 1024
    await cache.get("huge", lambda: make("huge", 9))
    assert cache.held_bytes == 3 * 1024
    cache.forget("b")
    assert cache.held_bytes == 2 * 1024


async def test_concurrent_requests_share_one_build_and_a_cancelled_one_does_not_end_it() -> None:
    cache, gate, made = PromptCache(max_bytes=10_000), asyncio.Event(), []

    async def make() -> VoicePrompt:
        made.append(1)
        await gate.wait()
        return prompt(1)

    waiting = [asyncio.create_task(cache.get("a", make)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    first, second = await asyncio.gather(*waiting[1:])
    assert first is second
    assert len(made) == 1


async def test_a_failed_build_raises_in_every_request_and_is_not_cached() -> None:
    cache = PromptCache(max_bytes=10_000)

    async def fail() -> VoicePrompt:
        await asyncio.sleep(0)
        raise ValueError("no voice")

    async def succeed() -> VoicePrompt:
        return prompt(1)

    results = await asyncio.gather(*(cache.get("a", fail) for _ in range(2)), return_exceptions=True)
    assert [str(each) for each in results] == ["no voice", "no voice"]
    assert len((await cache.get("a", succeed)).latents) == 1


async def test_a_voice_deleted_during_its_build_is_not_cached() -> None:
    cache, gate = PromptCache(max_bytes=10_000), asyncio.Event()

    async def make() -> VoicePrompt:
        await gate.wait()
        return prompt(1)

    waiting = asyncio.create_task(cache.get("a", make))
    await asyncio.sleep(0)
    cache.forget("a")
    gate.set()
    assert len((await waiting).latents) == 1
    assert cache.held_bytes == 0
