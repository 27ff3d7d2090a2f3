"""Derives the voice of a request's later sentences from its first one, when the request names no voice.

A normal sentence becomes the voice as a whole. Of a runaway sentence (`retry_policy`) that was not retried, or too
seldom, only the beginning, in which the text is spoken, becomes the voice; the rest would make later sentences
runaways too. The cut is at the quietest patch within the time that the text takes, so that it splits no word.

Knows: patches, their loudness, and tokens.
Does not know: engines or other sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from voxfleet_inference.engine.messages import Float32Array, Patch, VoicePrompt
from voxfleet_inference.speech.retry_policy import is_runaway

# Speech takes about two patches per token; a fast speaker needs one, a slow one three. Six are a runaway.
FASTEST_PATCHES_PER_TOKEN: Final = 1
SLOWEST_PATCHES_PER_TOKEN: Final = 3
SHORTEST_PATCHES: Final = 4  # the model makes no shorter sentence


@dataclass(frozen=True, slots=True)
class VoicePatch:
    """The parts of a patch from which a voice is derived."""

    latents: Float32Array  # [patch_size, feat_dim]
    loudness: float  # mean square of its samples


def voice_patch(patch: Patch) -> VoicePatch:
    """Return a patch without its samples, which are nearly 30 times as large as the latents."""
    return VoicePatch(patch.latents, float(np.mean(np.square(patch.samples))))


def derive_voice(text: str, patches: Sequence[VoicePatch], text_tokens: int) -> VoicePrompt:
    """Return the prompt that continues a sentence: its text, of `text_tokens` tokens, and latents [patches, 4, 64]."""
    end = derived_patches([each.loudness for each in patches], text_tokens)
    return VoicePrompt(text, np.stack([each.latents for each in patches[:end]]))


def derived_patches(loudness: Sequence[float], text_tokens: int) -> int:
    """Return how many patches of a sentence become the voice; among equally quiet places the last one wins."""
    if not is_runaway(len(loudness), text_tokens):
        return len(loudness)
    shortest, longest = (
        max(SHORTEST_PATCHES, rate * text_tokens) for rate in (FASTEST_PATCHES_PER_TOKEN, SLOWEST_PATCHES_PER_TOKEN)
    )
    return min(range(shortest, longest + 1), key=lambda patches: (loudness[patches - 1], -patches))
