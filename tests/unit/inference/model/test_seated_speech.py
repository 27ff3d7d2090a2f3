"""The model as the engine drives it: measured, admitted, read, stepped and released, numpy in and out."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from voxfleet_inference.engine.messages import Float32Array, Sentence, VoicePrompt
from voxfleet_inference.engine.model_backend import SentenceTooLongError, Slot
from voxfleet_inference.engine.process import EngineSettings, Limits, WrongWeightsError
from voxfleet_inference.model.runner.model_runner import RunnerConfig
from voxfleet_inference.model.runner.prompts import VoiceEmbeddingCache
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.worker import loading
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend

Model = Callable[[str, bool], VoxCPM]
SHAPE = (4, 64)


def noise(rows: int, seed: int = 0) -> Float32Array:
    drawn: Float32Array = np.random.default_rng(seed).standard_normal((rows, *SHAPE), dtype=np.float32)
    return drawn


def sentence(text: str = "Hello, this is a sentence.", **given: object) -> Sentence:
    return replace(Sentence(sequence_id=1, text=text, seed=0, inference_timesteps=2), **given)  # type: ignore[arg-type]


def voice(patches: int = 5, seed: int = 1) -> VoicePrompt:
    latents = np.random.default_rng(seed).standard_normal((patches, *SHAPE), dtype=np.float32)
    return VoicePrompt("你好 world", latents)


def settings_of(folder: Path, **given: object) -> EngineSettings:
    settings = EngineSettings(model_path=folder, limits=Limits(max_rows=2, max_waiting=8))
    return replace(settings, **given)  # type: ignore[arg-type]


@pytest.fixture
def speech(ours: Model) -> VoxCpmBackend:
    return VoxCpmBackend(ours("tiny", False), RunnerConfig(slots=3, positions=500, rows=2))


def sit(speech: VoxCpmBackend, slot: int, first: int, spoken: Sentence) -> None:
    cost = speech.estimate_cost(spoken)
    speech.admit(Slot(slot, first, cost.positions), spoken)
    speech.prefill(slot, cost.prompt_positions)


def test_a_sentence_is_measured_before_anything_is_done(speech: VoxCpmBackend, ours: Model) -> None:
    tokens = len(ours("tiny", False).tokenizer.encode("hello"))
    cost = speech.estimate_cost(sentence("hello"))
    assert (cost.text_tokens, cost.prompt_positions) == (tokens, tokens + 1)
    assert (cost.max_steps, cost.positions) == (6 * tokens + 10, 7 * tokens + 11)


def test_a_voice_counts_by_its_transcript_and_its_patches(speech: VoxCpmBackend, ours: Model) -> None:
    tokenizer = ours("tiny", False).tokenizer
    cost = speech.estimate_cost(sentence("hello", prompt=voice(7), max_steps=3))
    assert cost.prompt_positions == len(tokenizer.encode("你好 worldhello")) + 1 + 7
    assert (cost.max_steps, cost.text_tokens) == (3, len(tokenizer.encode("hello")))


def test_what_never_fits_is_refused_with_what_it_needs_and_what_there_is(speech: VoxCpmBackend) -> None:
    with pytest.raises(SentenceTooLongError, match=r"needs \d+ positions and up to \d+ steps, .* room for 500 in all"):
        speech.estimate_cost(sentence("a very long text " * 40))


def test_a_step_answers_in_the_order_of_its_rows(speech: VoxCpmBackend) -> None:
    sit(speech, 2, 0, sentence("first"))
    sit(speech, 0, 200, sentence("我们去北京", prompt=voice(), cfg_value=4.0, inference_timesteps=10))
    forwards = speech.step([2, 0], noise(2)).collect()
    assert forwards.latents.shape == (2, *SHAPE)
    assert forwards.samples.shape == (2, 7056)
    assert (forwards.latents.dtype, forwards.is_last.dtype, forwards.next_is_last.dtype) == (np.float32, bool, bool)
    sit(speech, 2, 0, sentence("first"))
    sit(speech, 0, 200, sentence("我们去北京", prompt=voice(), cfg_value=4.0, inference_timesteps=10))
    backwards = speech.step([0, 2], noise(2)[::-1].copy()).collect()
    np.testing.assert_allclose(backwards.latents[::-1], forwards.latents, atol=1e-4)
    np.testing.assert_allclose(backwards.samples[::-1], forwards.samples, atol=1e-4)


def test_the_stop_head_is_not_heard_before_the_fourth_patch(
    speech: VoxCpmBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        speech._model.network, "wants_to_stop", lambda hidden: torch.ones(len(hidden), dtype=torch.bool)
    )
    sit(speech, 0, 0, sentence())
    made = [speech.step([0], noise(1, seed)).collect() for seed in range(4)]
    assert [bool(each.next_is_last[0]) for each in made[:3]] == [False, False, True]
    assert [bool(each.is_last[0]) for each in made] == [False, False, False, True]


def test_what_was_collected_stays_when_steps_go_on(speech: VoxCpmBackend) -> None:
    sit(speech, 0, 0, sentence())
    pending = speech.step([0], noise(1))
    speech.step([0], noise(1, seed=1))
    speech.release(0)
    fresh = VoxCpmBackend(speech._model, RunnerConfig(slots=1, positions=500))
    sit(fresh, 0, 0, sentence())
    assert np.array_equal(pending.collect().latents, fresh.step([0], noise(1)).collect().latents)


def test_a_seat_remembers_nothing_of_who_sat_there_before(speech: VoxCpmBackend, ours: Model) -> None:
    spoken = sentence(inference_timesteps=3)
    sit(speech, 1, 40, sentence("someone else", prompt=voice(9), inference_timesteps=40, cfg_value=6.0))
    for seed in range(5):
        speech.step([1], noise(1, seed))
    speech.release(1)
    fresh = VoxCpmBackend(ours("tiny", False), RunnerConfig(slots=2, positions=500))
    for each in (speech, fresh):
        sit(each, 1, 45, spoken)
        sit(each, 0, 250, sentence("a neighbour with a longer schedule", inference_timesteps=20))
    for seed in range(5):
        used, new = (each.step([1, 0], noise(2, seed)).collect() for each in (speech, fresh))
        assert np.array_equal(used.latents, new.latents)
        assert np.array_equal(used.samples, new.samples)
        assert np.array_equal(used.next_is_last, new.next_is_last)


def test_a_cancelled_prompt_leaves_a_seat_as_good_as_new(speech: VoxCpmBackend) -> None:
    spoken = sentence(prompt=voice(20))
    cost = speech.estimate_cost(spoken)
    speech.admit(Slot(0, 0, cost.positions), spoken)
    speech.prefill(0, 12)
    speech.release(0)
    sit(speech, 0, 0, sentence())
    sit(speech, 1, 250, sentence())
    made = speech.step([0, 1], np.repeat(noise(1), 2, axis=0)).collect()
    np.testing.assert_allclose(made.latents[0], made.latents[1], atol=1e-4)


def test_a_recording_is_brought_to_the_models_rate_and_encoded(speech: VoxCpmBackend) -> None:
    second = np.random.default_rng(0).standard_normal(22_050).astype(np.float32)
    assert speech.encode_voice(second, 22_050).shape == (7, *SHAPE)  # 44,100 samples, 7,056 each, padded in front


def test_a_voice_is_embedded_once_and_as_far_as_it_is_read() -> None:
    embedded: list[int] = []

    def embed(latents: torch.Tensor) -> torch.Tensor:
        embedded.append(latents.shape[1])
        return latents.flatten(2)

    voices = VoiceEmbeddingCache(embed, torch.device("cpu"), at_once=16, limit_bytes=2**20)
    latents = torch.randn(40, 4, 64)
    for begin, end in ((0, 3), (3, 16), (16, 17), (17, 40)):
        assert torch.equal(voices.of(latents.clone()).embedded(begin, end), latents[None, begin:end].flatten(2))
    assert embedded == [16, 16, 8]


def test_a_voice_used_again_costs_nothing_but_its_place(speech: VoxCpmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = sentence(prompt=voice(20))
    sit(speech, 0, 0, spoken)
    made = speech.step([0], noise(1)).collect()
    with monkeypatch.context() as forbidden:
        forbidden.setattr(speech._model.network, "embed_patches", None)
        forbidden.setattr(speech._model.vae, "decode", None)
        sit(speech, 1, 250, replace(spoken, prompt=voice(20)))
    again = speech.step([1], noise(1)).collect()
    assert np.array_equal(again.latents, made.latents)
    assert np.array_equal(again.samples, made.samples)


def test_voices_used_long_ago_are_dropped() -> None:
    voices = VoiceEmbeddingCache(lambda latents: latents.flatten(2), torch.device("cpu"), at_once=16, limit_bytes=3000)
    latents = [torch.randn(1, 4, 64) for _ in range(4)]  # 1024 bytes each, and as much again once embedded
    first = voices.of(latents[0])
    voices.of(latents[1])
    assert voices.of(latents[0]) is first
    voices.of(latents[2])
    assert len(voices) == 2
    assert voices.of(latents[0]) is first
    first.embedded(0, 1)
    voices.of(latents[3])
    assert len(voices) == 1
    assert voices.of(latents[0]) is not first


@pytest.mark.parametrize(("asked", "positions"), [(0, 4096), (777, 777)])
def test_room_follows_the_settings(
    asked: int,
    positions: int,
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    speech, facts = load_backend(settings_of(checkpoint_folder("tiny", False), kv_cache_positions=asked))
    assert (speech.kv_positions, speech.slots) == (positions, 8)
    assert (facts.sample_rate, facts.patch_samples, facts.patch_size, facts.feat_dim) == (44_100, 7056, 4, 64)


@pytest.mark.parametrize(("free_mib", "positions"), [(10, 9557), (10_000, 8 * 4096)])
def test_on_a_gpu_room_follows_its_free_memory_up_to_what_seats_could_fill(
    free_mib: int, positions: int, ours: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A position of the tiny model takes 2 x 3 layers x 2 heads x 16 numbers of 4 bytes."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_mib * 2**20, 0))
    assert loading._kv_positions(settings_of(Path(), device="cuda"), ours("tiny", False)) == positions


def test_a_gpu_without_room_for_a_sentence_is_refused(ours: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**18, 0))
    with pytest.raises(WrongWeightsError, match="room for 238 KV positions"):
        loading._kv_positions(settings_of(Path(), device="cuda"), ours("tiny", False))


def test_deterministic_loading_fixes_shapes_and_addresses(
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    speech, _ = load_backend(settings_of(checkpoint_folder("tiny", False), deterministic=True))
    model = speech._model
    assert {each.data_ptr() % 64 for part in (model.network, model.vae) for each in part.parameters()} == {0}
    assert speech._runner.config.is_deterministic


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_machine_without_a_gpu_says_so(
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    with pytest.raises(WrongWeightsError, match="no usable CUDA device or driver here"):
        load_backend(settings_of(checkpoint_folder("tiny", False), device="cuda"))


def test_the_model_needs_torch_and_numpy_alone() -> None:
    """A bare GPU machine has no more; what reads checkpoints, text and requests is imported where it is used."""
    absent = ("pydantic", "safetensors", "tokenizers", "torchaudio", "transformers", "typer", "fastapi", "wetext")
    wanted = "voxfleet_inference.worker.voxcpm_backend, voxfleet_inference.model.audio_vae"
    program = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import {wanted}"
    subprocess.run([sys.executable, "-c", program], check=True)
