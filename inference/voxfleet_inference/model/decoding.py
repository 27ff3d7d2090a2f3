"""What goes into decoding a sentence, what is kept between its steps, and what comes out of one.

Knows values only. Does not know how they are computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from voxfleet_inference.audio.vae import StreamMemory
from voxfleet_inference.model.flow_matching import Guidance
from voxfleet_inference.model.network import Caches, Hidden

STEPS_PER_TOKEN = 6
SPARE_STEPS = 10
SHORTEST_UTTERANCE_STEPS = 4  # the stop head is not heard before


def maximum_steps(target_tokens: int, limit: int = 4096) -> int:
    """The most patches that a text of so many tokens may take; whatever speaks longer has lost its way."""
    return min(int(STEPS_PER_TOKEN * target_tokens + SPARE_STEPS), limit)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a sentence starts from.

    `token_ids` are those of the prompt's transcript and the sentence, joined raw and tokenized together.
    `latents` are the voice prompt's patches `[patches, patch_size, feat_dim]`, or None to let the model pick a voice.
    """

    token_ids: Sequence[int]
    latents: Tensor | None = None

    @property
    def positions(self) -> int:
        """KV positions that it fills: its tokens, the audio start token, its patches."""
        return len(self.token_ids) + 1 + (0 if self.latents is None else len(self.latents))


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """How noise is refined: solver points per patch, and strength of guidance."""

    inference_timesteps: int = 10
    cfg_value: float = 2.0


@dataclass(slots=True)
class Decoding:
    """A sentence being spoken. All tensors begin with the row; `prefill` makes it, `step` advances it."""

    caches: Caches
    hidden: Hidden
    previous: Tensor  # [rows, patch_size, feat_dim], in the model's dtype
    guidance: Guidance
    memory: StreamMemory  # of the audio decoder
    steps: Tensor  # [rows] int64, taken so far
    next_is_last: Tensor  # [rows] bool: known before the next step is launched


@dataclass(frozen=True, slots=True)
class PatchResult:
    """One step's patch. Nothing here has waited for the device: `.cpu()` and `.item()` are the caller's."""

    latents: Tensor  # [rows, patch_size, feat_dim] float32
    samples: Tensor  # [rows, patch_samples] float32, within [-1, 1]
    is_last: Tensor  # [rows] bool: the model ended with this patch
    next_is_last: Tensor  # [rows] bool: it will end with the next one
