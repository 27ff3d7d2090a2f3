"""Prompts and the limits of decoding."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.model.runner.decoding import Prompt, maximum_steps


@given(tokens=st.integers(0, 10_000), limit=st.integers(1, 9000))
def test_maximum_steps_is_the_references_clamp(tokens: int, limit: int) -> None:
    assert maximum_steps(tokens, limit) == min(int(6 * tokens + 10), limit)


def test_maximum_steps_defaults_to_the_published_limit() -> None:
    assert (maximum_steps(0), maximum_steps(20), maximum_steps(5000)) == (10, 130, 4096)


def test_a_prompt_counts_its_text_its_start_token_and_its_patches() -> None:
    assert Prompt([1, 2, 3]).positions == 4
    assert Prompt([1, 2, 3], torch.zeros(5, 4, 64)).positions == 9
