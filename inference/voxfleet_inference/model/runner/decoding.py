"""Inputs and outputs of decoding: prompt, settings, and the result of a step.

Knows: values. Does not know: how they are computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# The reference stops a text after 6 * tokens + 10 patches, because longer speech is a runaway.
STEPS_PER_TOKEN = 6
SPARE_STEPS = 10
MIN_UTTERANCE_STEPS = 4  # the stop head is ignored before this patch, as in the reference


def maximum_steps(target_tokens: int, limit: int = 4096) -> int:
    """Return the largest number of patches that a text of `target_tokens` tokens may take."""
    return min(int(STEPS_PER_TOKEN * target_tokens + SPARE_STEPS), limit)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the language models read before the first step.

    `token_ids` are those of the voice prompt's transcript and the sentence, concatenated and tokenized as one text.
    `latents` are the voice prompt's patches `[patches, patch_size, feat_dim]`, or None if the model picks a voice.
    """

    token_ids: Sequence[int]
    latents: Tensor | None = None

    @property
    def positions(self) -> int:
        """KV positions that the prompt fills: its tokens, the audio start token, its patches."""
        return len(self.token_ids) + 1 + (0 if self.latents is None else len(self.latents))


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """Settings of the flow-matching solver: timesteps per patch, and the strength of classifier-free guidance."""

    inference_timesteps: int = 10
    cfg_value: float = 2.0


@dataclass(frozen=True, slots=True)
class PatchResult:
    """The patches of one step, still on the device: reading a value (`.cpu()`, `.item()`) waits for the step."""

    latents: Tensor  # [rows, patch_size, feat_dim] float32
    samples: Tensor  # [rows, patch_samples] float32, within [-1, 1]
    is_last: Tensor  # [rows] bool: the utterance ends with this patch
    next_is_last: Tensor  # [rows] bool: the utterance ends with the next patch

    @classmethod
    def concatenate(cls, parts: "Sequence[PatchResult]") -> "PatchResult":
        """Concatenate the rows of several results, in their order."""
        latents, samples = (torch.cat([getattr(part, name) for part in parts]) for name in ("latents", "samples"))
        is_last, next_is_last = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("is_last", "next_is_last")
        )
        return cls(latents, samples, is_last, next_is_last)

    def first(self, rows: int) -> "PatchResult":
        """Return the results of the first `rows` rows, without those of padding rows."""
        return PatchResult(self.latents[:rows], self.samples[:rows], self.is_last[:rows], self.next_is_last[:rows])
