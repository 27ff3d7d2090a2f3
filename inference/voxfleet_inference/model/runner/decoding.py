"""What goes into decoding a sentence, and what comes out of a step.

Knows values only. Does not know how they are computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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


@dataclass(frozen=True, slots=True)
class PatchResult:
    """One step's patch. Nothing here has waited for the device: `.cpu()` and `.item()` are the caller's."""

    latents: Tensor  # [rows, patch_size, feat_dim] float32
    samples: Tensor  # [rows, patch_samples] float32, within [-1, 1]
    is_last: Tensor  # [rows] bool: the model ended with this patch
    next_is_last: Tensor  # [rows] bool: it will end with the next one

    @classmethod
    def joined(cls, parts: "Sequence[PatchResult]") -> "PatchResult":
        """Results of several batches as one, in their order."""
        latents, samples = (torch.cat([getattr(part, name) for part in parts]) for name in ("latents", "samples"))
        is_last, next_is_last = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("is_last", "next_is_last")
        )
        return cls(latents, samples, is_last, next_is_last)

    def first(self, rows: int) -> "PatchResult":
        """The first rows' results."""
        return PatchResult(self.latents[:rows], self.samples[:rows], self.is_last[:rows], self.next_is_last[:rows])
