"""Out of memory: work is repeated in smaller pieces, and only a sequence that does not fit alone fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from voxfleet_inference.engine.messages import Outcome, Sentence, Submit, VoicePrompt
from voxfleet_inference.engine.process import EngineSettings
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.engine.steps.batch_division import CAREFUL_STEPS
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint
from voxfleet_inference.worker.loading import load_backend


def test_a_sentence_that_does_not_fit_alone_fails_and_its_neighbours_go_on(
    tone_model: Any, start_engine: Any, until: Any
) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=4)
    running.submit(1, "a first sentence")
    until(lambda: tone_model.prefilled)  # its first step waits at the gate
    for sequence_id, text in ((2, "a greedy one"), (3, "a third sentence"), (4, "the last one")):
        running.submit(sequence_id, text)
    tone_model.gate.set()
    ends = running.log.wait_for_ends(4)
    assert {each: ends[each].outcome for each in (1, 3, 4)} == dict.fromkeys((1, 3, 4), Outcome.FINISHED)
    assert ends[2].outcome is Outcome.FAILED
    assert "OutOfMemoryError: CUDA out of memory" in ends[2].message
    for sequence_id in (1, 3, 4):
        patches = running.log.patches(sequence_id)
        samples = np.concatenate([patch.samples for patch in patches])
        hum = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 44100)
        assert len(patches) == ends[sequence_id].patches
        assert np.allclose(samples, hum, atol=1e-4)  # no patch is missing, doubled or out of order
    until(lambda: not tone_model.assigned)


def test_a_step_that_does_not_fit_is_split_for_the_next_steps_too(
    tone_model: Any, start_engine: Any, until: Any
) -> None:
    tone_model.gate, tone_model.rows_that_fit = threading.Event(), 3
    running = start_engine(tone_model, max_rows=8)
    running.submit(1, "x" * (CAREFUL_STEPS + 100))
    until(lambda: tone_model.prefilled)
    for sequence_id in range(2, 9):
        running.submit(sequence_id, "x" * (CAREFUL_STEPS + 100))
    tone_model.gate.set()
    assert {each.outcome for each in running.log.wait_for_ends(8).values()} == {Outcome.FINISHED}
    assert max(tone_model.batches) == 3
    # The batch grows to 4, 5, ... 8 rows; each size may run out of memory once, and again after CAREFUL_STEPS.
    assert 1 <= tone_model.times_freed <= 8


def test_a_prompt_chunk_that_does_not_fit_is_read_in_halves(tone_model: Any, start_engine: Any) -> None:
    tone_model.positions_that_fit = 10
    running = start_engine(tone_model, max_prefill_tokens=32)
    running.submit(1, "x" * 40)
    ended = running.log.wait_for_ends(1)[1]
    assert (ended.outcome, ended.patches) == (Outcome.FINISHED, 40)
    assert tone_model.chunks == [8, 8, 8, 8, 9]
    assert tone_model.times_freed == 3


def test_a_prompt_of_which_not_one_position_fits_fails(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.positions_that_fit = 0
    running = start_engine(tone_model)
    running.submit(1, "x" * 40)
    assert running.log.wait_for_ends(1)[1].outcome is Outcome.FAILED
    until(lambda: not tone_model.assigned)
    tone_model.positions_that_fit = 100
    running.submit(2, "abc")
    assert running.log.wait_for_ends(2)[2].patches == 3


# A real, tiny model from here on: every third call of a part runs out of memory after it did its work.
PARTS: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "the solver": lambda runner: (runner.network, "sample_patch"),
    "the codec": lambda runner: (runner.vae, "decode"),
    "the language models": lambda runner: (runner.network, "forward_lms"),
    "the encoder of patches": lambda runner: (runner.network, "embed_patches"),
    "the stop head": lambda runner: (runner.network, "predict_stop"),
    "taking a slot": lambda runner: (runner.slot_states, "assign"),
}
TEXTS = ["Hi.", "Rain fell on the old town.", "你好，世界。"]


@pytest.fixture(scope="module", params=[True, False], ids=["deterministic", "plain"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    threads = torch.get_num_threads()
    folder: Path = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder)
    limits = Limits(max_rows=3, max_waiting=20)
    settings = EngineSettings(model_path=folder, limits=limits, cpu_threads=1, deterministic=request.param)
    yield load_backend(settings)[0]
    torch.set_num_threads(threads)


def spoken(backend: Any, start_engine: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Latents and samples of three sentences: in one batch if deterministic, else one after the other."""
    is_deterministic = backend._runner.config.is_deterministic
    running = start_engine(backend, max_rows=3 if is_deterministic else 1, max_waiting=20, max_prefill_tokens=20)
    latents = np.random.default_rng(1).standard_normal((21, 4, 64), dtype=np.float32)
    for number, text in enumerate(TEXTS, 1):
        prompt = VoicePrompt("a voice", latents) if number == 2 else None
        sentence = Sentence(sequence_id=number, text=text, seed=number, prompt=prompt, max_steps=7 + number)
        running.engine.enqueue(Submit(sentence))
        if not is_deterministic:
            running.log.wait_for_ends(number)
    ends = running.log.wait_for_ends(3)
    running.stop()
    assert {each.outcome for each in ends.values()} == {Outcome.FINISHED}
    made = [running.log.patches(number) for number in (1, 2, 3)]
    return [
        (np.stack([each.latents for each in patches]), np.concatenate([each.samples for each in patches]))
        for patches in made
    ]


@pytest.mark.parametrize("part", PARTS)
def test_steps_repeated_after_out_of_memory_make_the_same_audio(
    backend: Any, start_engine: Any, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = spoken(backend, start_engine)
    backend.free_memory()  # with cached voices the codec and the encoder would not be called
    owner, name = PARTS[part](backend._runner)
    call, calls = getattr(owner, name), iter(range(10_000))

    def runs_out(*given: Any) -> Any:
        made = call(*given)
        if next(calls) % 3 == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return made

    monkeypatch.setattr(owner, name, runs_out)
    found = spoken(backend, start_engine)
    assert next(calls) > 3
    for (latents, samples), (expected_latents, expected_samples) in zip(found, expected, strict=True):
        assert latents.shape == expected_latents.shape
        assert np.abs(latents - expected_latents).max() < 1e-4
        assert np.abs(samples - expected_samples).max() < 1e-4
