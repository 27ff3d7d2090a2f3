"""Teacher-forced distance of a model's latents from another's: both get the same patches, so errors do not accumulate.

Knows: one slot of one ModelRunner. Does not know: number formats or times.
"""

import torch
from torch import Tensor
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.runner.slot_states import StepBatch
from voxfleet_inference.model.voxcpm import VoxCPM

TEXT = "今天天气很好，我们去北京。Hello, this is the first test sentence."


def prefilled_runner(model: VoxCPM, steps: int) -> ModelRunner:
    """Return a ModelRunner with one slot that has prefilled the text."""
    prompt = Prompt(model.tokenizer.encode(TEXT))
    config = RunnerConfig(slots=1, positions=prompt.positions + steps)
    runner = ModelRunner(model, config)
    runner.admit(0, 0, config.positions, prompt, DecodingSettings(10, 2.0))
    runner.prefill(0, prompt.positions)
    return runner


def forced_latents(model: VoxCPM, noises: Tensor, forced: list[Tensor] | None) -> list[Tensor]:
    """Return each step's latents while the LMs get the forced ones instead (the model's own without any)."""
    runner = prefilled_runner(model, len(noises))
    made: list[Tensor] = []

    def sample_and_lm_step(rows: StepBatch, noise: Tensor) -> PatchResult:
        states = runner.slot_states.gather(rows)
        latents = model.network.sample_patch(noise, states.previous, states.hidden, states.guidance)
        collected = latents if forced is None else forced[len(made)].to(latents.dtype)
        made.append(latents.float())
        is_last = runner.lm_step(rows, states, collected)
        return PatchResult(latents.float(), latents, is_last, is_last)

    runner.step_fn = sample_and_lm_step
    for noise in noises:
        runner.step([0], noise[None])
    return made


def noise_tape(model: VoxCPM, steps: int) -> Tensor:
    """Return the noise of all steps, the same for every model."""
    torch.manual_seed(0)
    return torch.randn(steps, model.config.patch_size, model.config.feat_dim)


def exact_latents(model: VoxCPM, steps: int) -> list[Tensor]:
    """Return the model's latents without forcing; the model is not needed afterwards."""
    return forced_latents(model, noise_tape(model, steps), None)


def error(model: VoxCPM, exact: list[Tensor]) -> float:
    """Return the relative L2 distance of a model's teacher-forced latents from the exact ones."""
    made, truth = forced_latents(model, noise_tape(model, len(exact)), exact), torch.stack(exact)
    return float((torch.stack(made) - truth).norm() / truth.norm())
