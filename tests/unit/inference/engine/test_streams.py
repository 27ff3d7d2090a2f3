from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_inference.engine.errors import (
    EngineError,
    QueueFullError,
    SequenceExpiredError,
    SequenceTooLongError,
)
from voxfleet_inference.engine.messages import (
    Outcome,
    Sentence,
    SequenceEnded,
    SequenceParams,
)
from voxfleet_inference.engine.streams import SequenceStream


def sentence(text: str, **more: Any) -> Sentence:
    return Sentence(sequence_id=0, text=text, seed=1, **more)


async def test_a_stream_gives_its_patches_and_ends(pipe: Any) -> None:
    stream = pipe.client.speak(sentence("abcd"), 100)
    patches = [patch async for patch in stream]
    assert len(patches) == 4
    assert stream.ended is not None
    assert stream.ended.patches == 4


async def test_an_unread_stream_parks_its_sequence_and_resumes_it_when_read(pipe: Any, tone_model: Any) -> None:
    tone_model.step_seconds = 0.02
    stream = pipe.client.speak(sentence("x" * 200), max_waiting_patches=5)
    await anext(stream)
    assert 5 <= await settled(lambda: tone_model.steps_taken) < 200
    tone_model.step_seconds = 0.0
    assert len([patch async for patch in stream]) == 199


async def settled(count: Callable[[], int], for_seconds: float = 0.5) -> int:
    """The count, once it has not grown for a while."""
    async with asyncio.timeout(60):
        while True:
            before = count()
            await asyncio.sleep(for_seconds)
            if count() == before:
                return before


async def test_a_failed_sentence_raises_its_message(pipe: Any) -> None:
    with pytest.raises(EngineError, match="this sentence cannot be read"):
        await anext(pipe.client.speak(sentence("refuse"), 100))


@pytest.mark.parametrize(
    ("text", "more", "error"),
    [
        ("an endless sentence", {}, SequenceTooLongError),
        ("x" * 50_000, {"params": SequenceParams(deadline_seconds=0.1)}, SequenceExpiredError),
    ],
)
async def test_the_error_names_how_a_sentence_failed(
    pipe: Any, tone_model: Any, text: str, more: dict[str, Any], error: type[EngineError]
) -> None:
    tone_model.step_seconds = 0.01
    with pytest.raises(error):
        async for _ in pipe.client.speak(sentence(text, **more), 100_000):
            pass


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome.FAILED, EngineError),
        (Outcome.EXPIRED, SequenceExpiredError),
        (Outcome.TOO_LONG, SequenceTooLongError),
        (Outcome.QUEUE_FULL, QueueFullError),
    ],
)
async def test_each_outcome_raises_its_own_error(pipe: Any, outcome: Outcome, error: type[EngineError]) -> None:
    stream = SequenceStream(1, 8, pipe.client.send, pipe.client.forget)
    stream.put(SequenceEnded(1, outcome, "because"))
    with pytest.raises(error, match="because") as raised:
        await anext(stream)
    assert raised.type is error
