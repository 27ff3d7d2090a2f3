"""VoxCpmBackend as the engine calls it: costs, admission, prefill, steps and release, numpy in and out."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchaudio.functional
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.messages import Float32Array, Sentence, VoicePrompt
from voxfleet_inference.engine.model_backend import SentenceTooLongError, Slot
from voxfleet_inference.model.runner.model_runner import RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend, resampled

Model = Callable[[str, bool], VoxCPM]
SHAPE = (4, 64)
RATES = st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000, 96000, 192000])


def noise(rows: int, seed: int = 0) -> Float32Array:
    drawn: Float32Array = np.random.default_rng(seed).standard_normal((rows, *SHAPE), dtype=np.float32)
    return drawn


def sentence(text: str = "Hello, this is a sentence.", **changes: object) -> Sentence:
    return replace(Sentence(sequence_id=1, text=text, seed=0, inference_timesteps=2), **changes)  # type: ignore[arg-type]


def voice(patches: int = 5, seed: int = 1) -> VoicePrompt:
    latents = np.random.default_rng(seed).standard_normal((patches, *SHAPE), dtype=np.float32)
    return VoicePrompt("你好 world", latents)


@pytest.fixture
def backend(ours: Model) -> VoxCpmBackend:
    return VoxCpmBackend(ours("tiny", False), RunnerConfig(slots=3, positions=500, rows=2))


def admit_and_prefill(backend: VoxCpmBackend, slot: int, first: int, asked: Sentence) -> None:
    cost = backend.estimate_cost(asked)
    backend.admit(Slot(slot, first, cost.positions), asked)
    backend.prefill(slot, cost.prompt_positions)


def test_the_cost_of_a_sentence_is_its_tokens_and_steps(backend: VoxCpmBackend, ours: Model) -> None:
    tokens = len(ours("tiny", False).tokenizer.encode("hello"))
    cost = backend.estimate_cost(sentence("hello"))
    assert (cost.text_tokens, cost.prompt_positions) == (tokens, tokens + 1)
    assert (cost.max_steps, cost.positions) == (6 * tokens + 10, 7 * tokens + 11)


def test_a_voice_costs_its_transcript_and_its_patches(backend: VoxCpmBackend, ours: Model) -> None:
    tokenizer = ours("tiny", False).tokenizer
    cost = backend.estimate_cost(sentence("hello", prompt=voice(7), max_steps=3))
    assert cost.prompt_positions == len(tokenizer.encode("你好 worldhello")) + 1 + 7
    assert (cost.max_steps, cost.text_tokens) == (3, len(tokenizer.encode("hello")))


def test_a_sentence_that_never_fits_is_rejected_with_need_and_limit(backend: VoxCpmBackend) -> None:
    with pytest.raises(SentenceTooLongError, match=r"needs \d+ positions and up to \d+ steps, .* room for 500 in all"):
        backend.estimate_cost(sentence("a very long text " * 40))


def test_results_of_a_step_are_in_the_order_of_its_rows(backend: VoxCpmBackend) -> None:
    admit_and_prefill(backend, 2, 0, sentence("first"))
    admit_and_prefill(backend, 0, 200, sentence("我们去北京", prompt=voice(), cfg_value=4.0, inference_timesteps=10))
    forwards = backend.step([2, 0], noise(2)).collect()
    assert forwards.latents.shape == (2, *SHAPE)
    assert forwards.samples.shape == (2, 7056)
    assert (forwards.latents.dtype, forwards.is_last.dtype, forwards.next_is_last.dtype) == (np.float32, bool, bool)
    admit_and_prefill(backend, 2, 0, sentence("first"))
    admit_and_prefill(backend, 0, 200, sentence("我们去北京", prompt=voice(), cfg_value=4.0, inference_timesteps=10))
    backwards = backend.step([0, 2], noise(2)[::-1].copy()).collect()
    np.testing.assert_allclose(backwards.latents[::-1], forwards.latents, atol=1e-4)
    np.testing.assert_allclose(backwards.samples[::-1], forwards.samples, atol=1e-4)


def test_the_stop_head_is_ignored_before_patch_four(backend: VoxCpmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        backend._model.network, "predict_stop", lambda hidden: torch.ones(len(hidden), dtype=torch.bool)
    )
    admit_and_prefill(backend, 0, 0, sentence())
    made = [backend.step([0], noise(1, seed)).collect() for seed in range(4)]
    assert [bool(each.next_is_last[0]) for each in made[:3]] == [False, False, True]
    assert [bool(each.is_last[0]) for each in made] == [False, False, False, True]


def test_a_collected_result_is_not_overwritten_by_later_steps(backend: VoxCpmBackend) -> None:
    admit_and_prefill(backend, 0, 0, sentence())
    pending = backend.step([0], noise(1))
    backend.step([0], noise(1, seed=1))
    backend.release(0)
    fresh = VoxCpmBackend(backend._model, RunnerConfig(slots=1, positions=500))
    admit_and_prefill(fresh, 0, 0, sentence())
    assert np.array_equal(pending.collect().latents, fresh.step([0], noise(1)).collect().latents)


def test_a_slot_keeps_no_state_of_its_previous_sequence(backend: VoxCpmBackend, ours: Model) -> None:
    asked = sentence(inference_timesteps=3)
    admit_and_prefill(
        backend, 1, 40, sentence("another sentence", prompt=voice(9), inference_timesteps=40, cfg_value=6.0)
    )
    for seed in range(5):
        backend.step([1], noise(1, seed))
    backend.release(1)
    fresh = VoxCpmBackend(ours("tiny", False), RunnerConfig(slots=2, positions=500))
    for each in (backend, fresh):
        admit_and_prefill(each, 1, 45, asked)
        admit_and_prefill(each, 0, 250, sentence("a neighbour with a longer schedule", inference_timesteps=20))
    for seed in range(5):
        used, new = (each.step([1, 0], noise(2, seed)).collect() for each in (backend, fresh))
        assert np.array_equal(used.latents, new.latents)
        assert np.array_equal(used.samples, new.samples)
        assert np.array_equal(used.next_is_last, new.next_is_last)


def test_a_cancelled_prompt_leaves_no_state_in_its_slot(backend: VoxCpmBackend) -> None:
    asked = sentence(prompt=voice(20))
    cost = backend.estimate_cost(asked)
    backend.admit(Slot(0, 0, cost.positions), asked)
    backend.prefill(0, 12)
    backend.release(0)
    admit_and_prefill(backend, 0, 0, sentence())
    admit_and_prefill(backend, 1, 250, sentence())
    made = backend.step([0, 1], np.repeat(noise(1), 2, axis=0)).collect()
    np.testing.assert_allclose(made.latents[0], made.latents[1], atol=1e-4)


def test_a_recording_is_resampled_to_the_models_rate_and_encoded(backend: VoxCpmBackend) -> None:
    second = np.random.default_rng(0).standard_normal(22_050).astype(np.float32)
    assert backend.encode_voice(second, 22_050).shape == (7, *SHAPE)  # 44,100 samples, 7,056 each, padded in front


def test_a_cached_voice_is_not_embedded_again(backend: VoxCpmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = sentence(prompt=voice(20))
    admit_and_prefill(backend, 0, 0, asked)
    made = backend.step([0], noise(1)).collect()
    with monkeypatch.context() as forbidden:
        forbidden.setattr(backend._model.network, "embed_patches", None)
        forbidden.setattr(backend._model.vae, "decode", None)
        admit_and_prefill(backend, 1, 250, replace(asked, prompt=voice(20)))
    again = backend.step([1], noise(1)).collect()
    assert np.array_equal(again.latents, made.latents)
    assert np.array_equal(again.samples, made.samples)


def test_the_backend_imports_torch_and_numpy_alone() -> None:
    """A GPU machine without our dependencies has no more; what reads checkpoints and text is imported where used."""
    absent = ("pydantic", "safetensors", "tokenizers", "torchaudio", "transformers", "typer", "fastapi", "wetext")
    wanted = "voxfleet_inference.worker.voxcpm_backend, voxfleet_inference.model.audio_vae"
    program = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import {wanted}"
    subprocess.run([sys.executable, "-c", program], check=True)


@given(length=st.integers(1, 50_000), rate=RATES)
def test_resampling_equals_torchaudio(length: int, rate: int) -> None:
    samples = torch.randn(length, generator=torch.Generator().manual_seed(length))
    theirs = torchaudio.functional.resample(samples, rate, 44100)
    ours = resampled(samples, rate, 44100)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_recordings_are_padded_to_few_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = set()

    def resample(samples: torch.Tensor, rate: int, wanted_rate: int) -> torch.Tensor:
        lengths.add(len(samples))
        return torch.zeros(-(-len(samples) * wanted_rate // rate))

    monkeypatch.setattr(torchaudio.functional, "resample", resample)
    for length in range(16_000, 480_000, 997):
        assert len(resampled(torch.zeros(length), 16000, 44100)) == -(-length * 44100 // 16000)
    assert len(lengths) == 6
