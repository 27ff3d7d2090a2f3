"""The engine over a real, tiny model: a sentence has the same bits alone and in any batch."""

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
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    threads = torch.get_num_threads()
    folder: Path = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder)
    limits = Limits(max_rows=3, max_waiting=20)
    settings = EngineSettings(model_path=folder, limits=limits, cpu_threads=1, deterministic=True)
    yield load_backend(settings)[0]
    torch.set_num_threads(threads)


def sentence(number: int) -> Sentence:
    """A sentence that differs from the others in all that may differ within a step."""
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


def spoken(backend: Any, start_engine: Any, numbers: list[int], cancelled: int | None = None) -> dict[int, bytes]:
    """The bytes of each sentence, submitted in this order."""
    running = start_engine(backend, **LIMITS)
    for number in numbers:
        running.engine.enqueue(Submit(sentence(number)))
    if cancelled is not None:
        running.log.wait_for(lambda _: running.log.patches(cancelled + 1))
        running.engine.enqueue(Cancel(cancelled + 1))
    ends = running.log.wait_for_ends(len(numbers))
    assert all(ends[number + 1].outcome is Outcome.FINISHED for number in numbers if number != cancelled)
    running.stop()
    patches = {number: running.log.patches(number + 1) for number in numbers}
    return {
        number: b"".join(patch.latents.tobytes() + patch.samples.tobytes() for patch in made)
        for number, made in patches.items()
    }


def test_a_sentence_has_the_same_bits_alone_and_in_any_batch(backend: Any, start_engine: Any) -> None:
    alone = {number: spoken(backend, start_engine, [number])[number] for number in range(len(TEXTS))}
    assert len(set(alone.values())) == len(TEXTS)
    for order in ([0, 1, 2, 3, 4, 5], [5, 2, 4, 0, 3, 1]):
        assert spoken(backend, start_engine, order) == alone


def test_cancelling_a_row_and_reusing_its_slot_changes_no_bit_of_the_others(backend: Any, start_engine: Any) -> None:
    alone = {number: spoken(backend, start_engine, [number])[number] for number in (1, 2, 5)}
    together = spoken(backend, start_engine, [4, 1, 2, 5], cancelled=4)
    assert {number: together[number] for number in alone} == alone
