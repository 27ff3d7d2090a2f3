"""How far a model's latents are from another's when both hear the same: errors do not add up over the steps.

Knows one seat of one speaker. Does not know number formats or time.
"""

import torch
from torch import Tensor
from voxfleet_inference.model.seats.decoding import DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.seats.pools import Rows
from voxfleet_inference.model.seats.speaker import Room, Speaker
from voxfleet_inference.model.voxcpm import VoxCPM

TEXT = "今天天气很好，我们去北京。Hello, this is the first test sentence."


def seated(model: VoxCPM, steps: int) -> Speaker:
    """A speaker with one seat that has read the text."""
    prompt = Prompt(model.tokenizer.encode(TEXT))
    room = Room(seats=1, positions=prompt.positions + steps)
    speaker = Speaker(model, room)
    speaker.admit(0, 0, room.positions, prompt, DecodingSettings(10, 2.0))
    speaker.prefill(0, prompt.positions)
    return speaker


def forced_latents(model: VoxCPM, noises: Tensor, forced: list[Tensor] | None) -> list[Tensor]:
    """Each step's latents, while the model hears the forced ones instead (its own where there are none)."""
    speaker, made = seated(model, len(noises)), []

    def draw_and_hear(rows: Rows, noise: Tensor) -> PatchResult:
        states = speaker.pools.gather(rows)
        latents = model.network.draw(noise, states.previous, states.hidden, states.guidance)
        heard = latents if forced is None else forced[len(made)].to(latents.dtype)
        made.append(latents.float())
        is_last = speaker.hear(rows, states, heard)
        return PatchResult(latents.float(), latents, is_last, is_last)

    speaker.advance = draw_and_hear
    for noise in noises:
        speaker.step([0], noise[None])
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
