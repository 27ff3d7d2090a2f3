"""When a sentence is said again: the reference's rule for speech that lost its way.

Knows: patches, tokens and attempts. One rule for the server and for the command line.
Does not know: who says it again, or how.
"""

from __future__ import annotations

from typing import Final

MAX_ATTEMPTS: Final = 3
BAD_CASE_RATIO: Final = 6  # patches per token from which speech has lost its way
_CONTEXT_PATCHES: Final = 2  # the reference counts so many of the voice's own patches among a sentence's


def is_bad_case(patches: int, text_tokens: int, voice_patches: int = 0) -> bool:
    """Whether a sentence of so many tokens took too long to be speech; of unknown tokens nothing is said."""
    return text_tokens > 0 and patches + min(voice_patches, _CONTEXT_PATCHES) >= BAD_CASE_RATIO * text_tokens


def wants_another_attempt(attempts_made: int, patches: int, text_tokens: int, voice_patches: int = 0) -> bool:
    """Whether to say it again, as long as none of it has been heard."""
    return attempts_made < MAX_ATTEMPTS and is_bad_case(patches, text_tokens, voice_patches)
