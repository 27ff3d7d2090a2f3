from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.messages import Patch
from voxfleet_inference.speech.derived_voice import SHORTEST_PATCHES, derive_voice, derived_patches, voice_patch
from voxfleet_inference.speech.retry_policy import is_runaway

LOUDNESS = st.lists(st.floats(0, 1), min_size=1, max_size=300)


@given(LOUDNESS, st.integers(0, 60))
def test_a_sentence_is_a_voice_as_a_whole_and_a_runaway_within_the_time_of_its_text(
    loudness: list[float], tokens: int
) -> None:
    patches = derived_patches(loudness, tokens)
    if not is_runaway(len(loudness), tokens):
        assert patches == len(loudness)
        return
    assert max(SHORTEST_PATCHES, tokens) <= patches <= max(SHORTEST_PATCHES, 3 * tokens)
    assert not is_runaway(patches, tokens)
    assert loudness[patches - 1] == min(loudness[max(SHORTEST_PATCHES, tokens) - 1 : max(SHORTEST_PATCHES, 3 * tokens)])


def test_a_runaway_is_cut_in_its_last_pause() -> None:
    loud, quiet = 0.1, 0.0
    assert derived_patches([quiet, loud, loud, loud, loud, quiet, quiet, loud, *[0.2] * 30], text_tokens=4) == 7


def test_a_derived_voice_is_the_text_with_its_latents() -> None:
    patches = [Patch(1, np.full((4, 64), at, np.float32), np.full(10, 0.1, np.float32)) for at in range(5)]
    voice = derive_voice("five patches", [voice_patch(patch) for patch in patches], text_tokens=2)
    assert voice.text == "five patches"
    assert voice.latents[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
