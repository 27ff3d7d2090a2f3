"""Steps, rows and capacity of a ModelRunner, beyond the values it computes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.layers.kv_cache import (
    ExtentFullError,
)
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM

Model = Callable[[str, bool], VoxCPM]
CPU = torch.device("cpu")


def prefilled_runner(model: VoxCPM, token_ids: list[int], timesteps: int, steps: int) -> ModelRunner:
    """A ModelRunner whose only slot has prefilled its prompt."""
    prompt = Prompt(token_ids)
    runner = ModelRunner(model, RunnerConfig(slots=1, positions=prompt.positions + steps))
    runner.admit(0, 0, prompt.positions + steps, prompt, DecodingSettings(timesteps))
    runner.prefill(0, prompt.positions)
    return runner


def test_the_last_patch_is_announced_one_step_ahead(ours: Model, tape: Callable[[VoxCPM], Tensor]) -> None:
    model = ours("tiny", False)
    runner = prefilled_runner(model, model.tokenizer.encode("hello"), 2, steps=40)
    results: list[PatchResult] = []
    announced = False
    while not results or not results[-1].is_last.item():
        results.append(runner.step([0], tape(model)[len(results)][None]))
        assert results[-1].is_last.item() == announced
        announced = bool(results[-1].next_is_last.item())
    assert 4 <= len(results) < 40


def test_more_steps_than_reserved_are_rejected(ours: Model) -> None:
    runner = prefilled_runner(ours("tiny", False), [110], 1, steps=2)
    noise = torch.zeros(1, 4, 64)
    for _ in range(2):
        runner.step([0], noise)
    with pytest.raises(ExtentFullError, match="has 4 KV positions, 4 are filled"):
        runner.step([0], noise)


def test_more_timesteps_than_a_slot_holds_are_rejected(ours: Model) -> None:
    with pytest.raises(ValueError, match="inference_timesteps 60: at most 49"):
        prefilled_runner(ours("tiny", False), [110], 60, steps=2)


@torch.inference_mode()
@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [3, 1, 8]])
@pytest.mark.parametrize("version", ["1.5", "0.5b"])
def test_a_prompt_prefilled_in_chunks_leaves_the_same_state(sizes: list[int], version: str, ours: Model) -> None:
    """Six tokens, the start token, five patches of a voice: wherever a chunk ends."""
    model = ours(version, True)
    latents = torch.randn(5, model.config.patch_size, 64, generator=torch.Generator().manual_seed(2))
    prompt = Prompt([110, 120, 130, 140, 150, 160], latents)
    runner = ModelRunner(model, RunnerConfig(slots=2, positions=26))
    for slot, pieces in enumerate(([12], sizes)):
        runner.admit(slot, 13 * slot, 13, prompt, DecodingSettings(10))
        for piece in pieces:
            runner.prefill(slot, piece)
    for pool in (runner.slot_states.hidden_base, runner.slot_states.hidden_residual, runner.codec_states.flat):
        torch.testing.assert_close(pool[1], pool[0], atol=1e-4, rtol=0)
    for cache in (runner.kv_caches.base, runner.kv_caches.residual):
        torch.testing.assert_close(cache.keys[:, 13:25], cache.keys[:, :12], atol=1e-4, rtol=0)
        torch.testing.assert_close(cache.values[:, 13:25], cache.values[:, :12], atol=1e-4, rtol=0)


def test_one_timestep_gives_the_noise_itself(ours: Model) -> None:
    noise = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(4))
    assert torch.equal(prefilled_runner(ours("tiny", False), [110], 1, steps=1).step([0], noise).latents, noise)
