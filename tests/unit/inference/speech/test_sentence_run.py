"""Retries of a runaway in the real engine, whose KV cache later sentences of the same request have filled."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import numpy as np
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.speech.events import SentenceEnded
from voxfleet_inference.speech.speaking import Speech, speak
from voxfleet_inference.text.sentences import TextSentence

# A character takes seven KV positions, and a sentence 111 more. The second one makes 54 patches at first.
SENTENCES = tuple(TextSentence(text) for text in ("a" * 54, "~" * 9, "c" * 90, "d" * 78))
VOICE = VoicePrompt("v", np.zeros((100, 4, 64), np.float32))


async def test_a_retry_does_not_wait_for_later_sentences(
    tone_model: Any, tone_loaded: Any, start_engine_thread: Any
) -> None:
    """The last sentence waits for the KV extents of the first two, and gets them before the second one's retry."""
    tone_model.kv_positions = sum(7 * len(each.text) + 111 for each in SENTENCES[:3])
    engine = start_engine_thread(lambda _: (tone_model, tone_loaded), max_rows=4)
    client = EngineClient(engine.connection, lambda _: None)
    client.start()
    speech = Speech(
        sentences=SENTENCES,
        seed=1,
        cfg_value=2.0,
        inference_timesteps=10,
        voice=VOICE,
        max_parallel_sentences=4,
        is_whole=True,
    )
    async with asyncio.timeout(60), aclosing(speak(client, speech, 44100)) as spoken:
        events = [event async for event in spoken]
    ended = [event for event in events if isinstance(event, SentenceEnded)]
    assert [(each.patches, each.attempts) for each in ended] == [(54, 1), (9, 2), (90, 1), (78, 1)]
    client.close()
    await engine.join()
