"""When a sentence is retried: the rule of VoxCPM's reference implementation (its `retry_badcase`).

A runaway is a sentence with far more audio than its text needs: the model repeats itself, babbles or never stops. As in
the reference, audio that is sent while it is decoded is never decoded again.

Knows: patches, tokens and attempts. The server and `synthesize` share it.
Does not know: engines or audio.
"""

from __future__ import annotations

from typing import Final

MAX_ATTEMPTS: Final = 3  # the reference's `retry_badcase_max_times`
RUNAWAY_PATCHES_PER_TOKEN: Final = 6  # the reference's `retry_badcase_ratio_threshold`; speech takes about two
# The reference decodes up to two of the voice prompt's patches again, as context, and counts them as the sentence's.
_CONTEXT_PATCHES: Final = 2


def is_runaway(patches: int, text_tokens: int, voice_patches: int = 0) -> bool:
    """Return whether a sentence has too many patches for its tokens; False if `text_tokens` is 0, for unknown."""
    return text_tokens > 0 and patches + min(voice_patches, _CONTEXT_PATCHES) >= RUNAWAY_PATCHES_PER_TOKEN * text_tokens


def should_retry(attempts_made: int, patches: int, text_tokens: int, voice_patches: int = 0) -> bool:
    """Return whether to retry a sentence, of which nothing is sent before it has ended."""
    return attempts_made < MAX_ATTEMPTS and is_runaway(patches, text_tokens, voice_patches)
