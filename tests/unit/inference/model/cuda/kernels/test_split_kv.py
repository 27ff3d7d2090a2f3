"""The number of splits of decode attention, and where it is not split."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from voxfleet_inference.model.cuda.kernels import attention
from voxfleet_inference.model.cuda.kernels.split_kv import MAX_SPLITS, splits_for
from voxfleet_inference.model.cuda.optimize import fuse_transformers
from voxfleet_inference.model.cuda.shapes import tiny_sizes
from voxfleet_inference.model.random_weights.random_model import random_model
from voxfleet_inference.model.runner.decoding import DecodingSettings, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig


@given(rows=some.integers(1, 300), tokens=some.integers(1, 600), kv_heads=some.integers(1, 16))
def test_splits_follow_from_the_shape(rows: int, tokens: int, kv_heads: int) -> None:
    parts = splits_for(rows, tokens, kv_heads)
    assert 1 <= parts <= MAX_SPLITS
    assert parts == 1 or tokens == 1
    assert parts >= splits_for(rows + 1, tokens, kv_heads)


@pytest.mark.parametrize(("rows", "parts"), [(1, 16), (2, 16), (4, 8), (16, 2), (32, 1), (64, 1)])
def test_small_batches_of_the_published_model_are_split(rows: int, parts: int) -> None:
    assert splits_for(rows, 1, 2) == parts


@pytest.mark.parametrize("is_deterministic", [False, True])
def test_deterministic_attention_is_not_split(monkeypatch: pytest.MonkeyPatch, is_deterministic: bool) -> None:  # noqa: FBT001
    pasts: list[Any] = []
    reference = attention.attention_reference
    monkeypatch.setattr(attention, "attention_reference", lambda *given: pasts.append(given[-1]) or reference(*given))
    model = random_model(tiny_sizes(), torch.device("cpu"), torch.float32)
    fuse_transformers(model.network)
    runner = ModelRunner(model, RunnerConfig(1, 40, 1, is_deterministic))
    runner.admit(0, 0, 40, Prompt([300, 301]), DecodingSettings(3, 2.0))
    runner.prefill(0, 3)
    runner.step([0], torch.zeros(1, 4, 64))
    assert {past.may_split_kv for past in pasts if past is not None} == {not is_deterministic}
