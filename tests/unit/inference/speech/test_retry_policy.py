from __future__ import annotations

import pytest
from voxfleet_inference.speech.retry_policy import is_runaway, should_retry


@pytest.mark.parametrize(
    ("patches", "tokens", "voice_patches", "runaway"),
    [
        (60, 10, 0, True),
        (59, 10, 0, False),
        (58, 10, 30, True),
        (57, 10, 30, False),
        (59, 10, 1, True),
        (99, 0, 0, False),
    ],
)
def test_a_runaway_is_what_the_reference_calls_a_bad_case(
    patches: int, tokens: int, voice_patches: int, *, runaway: bool
) -> None:
    assert is_runaway(patches, tokens, voice_patches) is runaway
    assert should_retry(2, patches, tokens, voice_patches) is runaway
    assert not should_retry(3, patches, tokens, voice_patches)
