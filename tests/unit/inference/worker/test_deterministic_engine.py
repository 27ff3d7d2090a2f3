"""The engine with the real model and `deterministic`: a sentence has the same bits whatever else is decoded."""

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Float32Array,
    Loaded,
    Outcome,
    Report,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoicePrompt,
)
from voxfleet_inference.engine.process import EngineSettings, Limits
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def loaded(checkpoint_folder: Callable[[str, bool], Path]) -> tuple[VoxCpmBackend, Loaded]:
    limits = Limits(max_rows=3, max_waiting=8)
    return load_backend(EngineSettings(model_path=checkpoint_folder("tiny", False), limits=limits, deterministic=True))


def sentences() -> list[Sentence]:
    latents = np.random.default_rng(1).standard_normal((20, 4, 64), dtype=np.float32)
    voice = VoicePrompt("你好 world", latents)
    one = Sentence(sequence_id=0, text="Hello, this is a sentence.", seed=7, inference_timesteps=3, max_steps=8)
    return [
        one,
        replace(one, sequence_id=1, text="我们去北京。", prompt=voice),
        replace(one, sequence_id=2, seed=8, inference_timesteps=10, cfg_value=4.0),
        replace(one, sequence_id=3, text="我们 want to test 人工智能!", prompt=voice, seed=9),
        replace(one, sequence_id=4, text="a longer text " * 4, seed=10, inference_timesteps=2),
    ]


def decode_in_engine(
    loaded: tuple[VoxCpmBackend, Loaded], order: Sequence[Sentence], prefill_tokens: int
) -> dict[int, Float32Array]:
    """Samples of each sentence when all are submitted at once."""
    reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
    limits = Limits(max_rows=3, max_waiting=8, max_prefill_tokens=prefill_tokens)
    engine = Engine(loaded[0], limits, 0.16, reports.put)
    for sentence in order:
        engine.enqueue(Submit(sentence))
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    samples: dict[int, list[Float32Array]] = {sentence.sequence_id: [] for sentence in order}
    unfinished = len(order)
    while unfinished:
        report = reports.get(timeout=PATIENCE_SECONDS)
        if isinstance(report, StepDone):
            for patch in report.patches:
                samples[patch.sequence_id].append(patch.samples)
        if isinstance(report, SequenceEnded):
            assert report.outcome is Outcome.FINISHED, report.message
            unfinished -= 1
    engine.enqueue(Stop())
    thread.join(PATIENCE_SECONDS)
    return {sequence_id: np.concatenate(patches) for sequence_id, patches in samples.items()}


def test_a_deterministic_engine_is_batch_invariant_to_the_bit(loaded: tuple[VoxCpmBackend, Loaded]) -> None:
    asked = sentences()
    alone = {each.sequence_id: decode_in_engine(loaded, [each], 512)[each.sequence_id] for each in asked}
    for order, prefill_tokens in zip(
        itertools.islice(itertools.permutations(asked), 7, 100, 40), (512, 5, 16), strict=True
    ):
        together = decode_in_engine(loaded, order, prefill_tokens)
        for sequence_id, samples in alone.items():
            assert np.array_equal(together[sequence_id], samples)
