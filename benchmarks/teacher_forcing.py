"""How far a model's latents are from another's when both hear the same: errors do not add up over the steps.

Knows one seat of one speaker. Does not know number formats or time.
"""

import torch
from torch import Tensor
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.runner.slot_states import StepBatch
from voxfleet_inference.model.voxcpm import VoxCPM

TEXT = "今天天气很好，我们去北京。Hello, this is the first test sentence."


def assigned(model: VoxCPM, steps: int) -> ModelRunner:
    """A speaker with one seat that has read the text."""
    prompt = Prompt(model.tokenizer.encode(TEXT))
    config = RunnerConfig(slots=1, positions=prompt.positions + steps)
    runner = ModelRunner(model, config)
    runner.admit(0, 0, config.positions, prompt, DecodingSettings(10, 2.0))
    runner.prefill(0, prompt.positions)
    return runner


def forced_latents(model: VoxCPM, noises: Tensor, forced: list[Tensor] | None) -> list[Tensor]:
    """Each step's latents, while the model hears the forced ones instead (its own where there are none)."""
    runner, made = assigned(model, len(noises)), []

    def sample_and_lm_step(rows: StepBatch, noise: Tensor) -> PatchResult:
        states = runner.slot_states.gather(rows)
        latents = model.network.sample_patch(noise, states.previous, states.hidden, states.guidance)
        heard = latents if forced is None else forced[len(made)].to(latents.dtype)
        made.append(latents.float())
        is_last = runner.lm_step(rows, states, heard)
        return PatchResult(latents.float(), latents, is_last, is_last)

    runner.step_fn = sample_and_lm_step
    for noise in noises:
        runner.step([0], noise[None])
    return made


def noise_tape(model: VoxCPM, steps: int) -> Tensor:
    """The same noise for everybody."""
    torch.manual_seed(0)
    return torch.randn(steps, model.config.patch_size, model.config.feat_dim)


def exact_latents(model: VoxCPM, steps: int) -> list[Tensor]:
    """What the model says when it hears itself; the model can go afterwards."""
    return forced_latents(model, noise_tape(model, steps), None)


def error(model: VoxCPM, exact: list[Tensor]) -> float:
    """How far from float32's a model's teacher-forced latents are."""
    made, truth = forced_latents(model, noise_tape(model, len(exact)), exact), torch.stack(exact)
    return float((torch.stack(made) - truth).norm() / truth.norm())
