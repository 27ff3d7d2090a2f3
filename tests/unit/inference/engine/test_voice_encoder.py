from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.errors import (
    VoiceBusyError,
)
from voxfleet_inference.engine.messages import (
    EncodeVoice,
    Report,
    VoiceEncoded,
)


def test_recordings_are_encoded_at_the_lowest_priority(tone_model: Any, start_engine: Any) -> None:
    def priorities_of(caller: str) -> Callable[..., Any]:
        inner = getattr(tone_model, caller)

        def submission(*given: Any) -> Any:
            seen[caller] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return inner(*given)

        return submission

    seen: dict[str, int] = {}
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    tone_model.encode_voice, tone_model.step = priorities_of("encode_voice"), priorities_of("step")
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.engine.enqueue(EncodeVoice(9, np.zeros(44100, dtype=np.float32), 44100))
    running.log.wait_for(lambda reports: any(isinstance(each, VoiceEncoded) for each in reports))
    running.submit(1, "x")
    running.log.wait_for_ends(1)
    assert seen == {"encode_voice": 19, "step": ours}


def test_a_recording_becomes_latents_or_an_error_message(running: Any) -> None:
    running.engine.enqueue(EncodeVoice(9, np.zeros(44100, dtype=np.float32), 44100))
    running.engine.enqueue(EncodeVoice(10, np.zeros(10, dtype=np.float32), 44100))

    def answers(reports: list[Report]) -> list[VoiceEncoded]:
        return [each for each in reports if isinstance(each, VoiceEncoded)]

    running.log.wait_for(lambda reports: len(answers(reports)) == 2)
    good, bad = answers(running.log.reports)
    assert good.latents is not None
    assert good.latents.shape == (2, 4, 64)
    assert bad.latents is None
    assert "too short" in bad.message


async def test_more_than_sixteen_recordings_at_once_are_rejected_as_busy(pipe: Any, tone_model: Any) -> None:
    tone_model.voice_gate = threading.Event()
    jobs = [asyncio.create_task(pipe.client.encode_voice(np.zeros(44100, np.float32), 44100)) for _ in range(17)]
    refused = (await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED))[0].pop()
    with pytest.raises(VoiceBusyError, match="16 recordings are already being read"):
        refused.result()
    tone_model.voice_gate.set()
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(answer, np.ndarray) for answer in answers) == 16
