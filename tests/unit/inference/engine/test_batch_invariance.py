"""The whole engine over a real, if tiny, model: what one sentence sounds like is nobody else's business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from voxfleet_inference.engine.messages import Cancel, Outcome, Sentence, Submit, VoicePrompt
from voxfleet_inference.engine.process import EngineSettings
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint
from voxfleet_inference.worker.loading import load_backend

LIMITS = {"max_rows": 3, "max_waiting": 20, "max_prefill_tokens": 5}
TEXTS = ["Hi.", "Rain fell on the old town.", "你好，世界。", "One, two.", "A mixed 句子 of two.", "Go on."]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    threads = torch.get_num_threads()
    folder: Path = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder)
    limits = Limits(max_rows=3, max_waiting=20)
    settings = EngineSettings(model_path=folder, limits=limits, cpu_threads=1, deterministic=True)
    yield load_backend(settings)[0]
    torch.set_num_threads(threads)


def sentence(number: int) -> Sentence:
    """Everything that may differ within a step does: text, voice, strength, solver points, seed."""
    latents = np.random.default_rng(number).standard_normal((number, 4, 64), dtype=np.float32)
    return Sentence(
        sequence_id=number + 1,
        text=TEXTS[number],
        seed=1000 + number,
        cfg_value=1.0 + number / 2,
        inference_timesteps=2 + number % 3,
        prompt=VoicePrompt("a voice", latents) if number % 2 else None,
        max_steps=8 + number,
    )


def spoken(speech: Any, start_engine: Any, numbers: list[int], cancelled: int | None = None) -> dict[int, bytes]:
    """The bits of each of these, submitted in this order."""
    running = start_engine(speech, **LIMITS)
    for number in numbers:
        running.engine.enqueue(Submit(sentence(number)))
    if cancelled is not None:
        running.listener.wait_for(lambda _: running.listener.patches(cancelled + 1))
        running.engine.enqueue(Cancel(cancelled + 1))
    ends = running.listener.wait_for_ends(len(numbers))
    assert all(ends[number + 1].outcome is Outcome.FINISHED for number in numbers if number != cancelled)
    running.stop()
    patches = {number: running.listener.patches(number + 1) for number in numbers}
    return {
        number: b"".join(patch.latents.tobytes() + patch.samples.tobytes() for patch in made)
        for number, made in patches.items()
    }


def test_a_sentence_is_the_same_to_the_bit_alone_and_in_any_company(speech: Any, start_engine: Any) -> None:
    alone = {number: spoken(speech, start_engine, [number])[number] for number in range(len(TEXTS))}
    assert len(set(alone.values())) == len(TEXTS)
    for order in ([0, 1, 2, 3, 4, 5], [5, 2, 4, 0, 3, 1]):
        assert spoken(speech, start_engine, order) == alone


def test_a_neighbour_that_leaves_and_the_one_that_takes_its_seat_are_not_heard(speech: Any, start_engine: Any) -> None:
    alone = {number: spoken(speech, start_engine, [number])[number] for number in (1, 2, 5)}
    together = spoken(speech, start_engine, [4, 1, 2, 5], cancelled=4)
    assert {number: together[number] for number in alone} == alone
