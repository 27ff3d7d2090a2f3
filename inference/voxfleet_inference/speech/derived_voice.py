"""How much of a sentence becomes the voice of those after it: all of it, unless it lost its way.

One that did, and that was heard and so cannot be said again, has said its text before: its beginning is the speaker
whom the listener knows, and what follows would lead the others astray as well. It ends where it is quietest, so that no
word is cut, within the time in which a text is spoken.

Knows: patches, how loud they are, and tokens.
Does not know: engines, other sentences or who listens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from voxfleet_inference.engine.messages import Float32Array, Patch, VoicePrompt
from voxfleet_inference.speech.retrying import is_bad_case

# Speech takes about two patches per token; six are the bad case. A hasty and a slow speaker:
FASTEST_PATCHES_PER_TOKEN: Final = 1
SLOWEST_PATCHES_PER_TOKEN: Final = 3
SHORTEST_PATCHES: Final = 4  # the model says nothing shorter


@dataclass(frozen=True, slots=True)
class SpokenPatch:
    """What of a patch is kept for a voice."""

    latents: Float32Array  # [patch_size, feat_dim]
    loudness: float  # mean square of its samples


def kept_for_a_voice(patch: Patch) -> SpokenPatch:
    """A patch without its samples."""
    return SpokenPatch(patch.latents, float(np.mean(np.square(patch.samples))))


def voice_of(text: str, spoken: Sequence[SpokenPatch], text_tokens: int) -> VoicePrompt:
    """The voice that said `text`, which has so many tokens."""
    end = voice_patches([each.loudness for each in spoken], text_tokens)
    return VoicePrompt(text, np.stack([each.latents for each in spoken[:end]]))


def voice_patches(loudness: Sequence[float], text_tokens: int) -> int:
    """How many patches of a sentence are its voice; of several that are as quiet the last one ends it."""
    if not is_bad_case(len(loudness), text_tokens):
        return len(loudness)
    shortest, longest = (
        max(SHORTEST_PATCHES, rate * text_tokens) for rate in (FASTEST_PATCHES_PER_TOKEN, SLOWEST_PATCHES_PER_TOKEN)
    )
    return min(range(shortest, longest + 1), key=lambda patches: (loudness[patches - 1], -patches))
