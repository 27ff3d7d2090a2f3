"""Attention over the KV cache: grouped heads, and rows of different lengths in one arena."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from voxfleet_inference.model.layers.kv_cache import (
    Attend,
    AttentionMetadata,
    KvCache,
    attend_padded,
    attend_rows,
    grouped_attention,
)
from voxfleet_inference.model.voxcpm import VoxCPM

Model = Callable[[str, bool], VoxCPM]
CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 3),
    tokens=st.integers(1, 5),
    before=st.integers(0, 9),
    kv_heads=st.integers(1, 3),
    groups=st.integers(1, 4),
)
def test_grouped_attention_is_pytorchs_with_keys_repeated(
    rows: int, tokens: int, before: int, kv_heads: int, groups: int
) -> None:
    seen = before + tokens
    queries = normal(rows, tokens, kv_heads * groups, 8)
    keys, values = normal(rows, seen, kv_heads, 8, seed=1), normal(rows, seen, kv_heads, 8, seed=2)
    mask = torch.ones(tokens, seen, dtype=torch.bool).tril(before)
    repeated = (wide.repeat_interleave(groups, dim=2).transpose(1, 2) for wide in (keys, values))
    expected = functional.scaled_dot_product_attention(queries.transpose(1, 2), *repeated, attn_mask=mask)
    expected = expected.transpose(1, 2).flatten(2)
    torch.testing.assert_close(grouped_attention(queries, keys, values, mask), expected)
    torch.testing.assert_close(grouped_attention(queries, keys, values, mask.expand(rows, -1, -1)), expected)


@torch.inference_mode()
@pytest.mark.parametrize("attend", [attend_rows, attend_padded])
@pytest.mark.parametrize("tokens", [1, 3])
def test_rows_of_different_lengths_share_an_arena_without_attending_to_each_other(
    tokens: int, attend: Attend, ours: Model
) -> None:
    """Two rows, 5 and 9 positions long, continued together: each as if alone, whatever the other positions hold."""
    model = ours("1.5", True)
    lm, shape = model.network.base_lm, model.config.base_lm
    embedded = torch.randn(2, 15, shape.hidden, generator=torch.Generator().manual_seed(1))
    lengths, firsts = (5, 9), (17, 2)
    together = KvCache(shape, 33, CPU, torch.float32, attend)
    together.keys.fill_(1e4)  # other positions: large enough to show if they were attended to
    together.values.fill_(1e4)
    expected = []
    for row, (length, first) in enumerate(zip(lengths, firsts, strict=True)):
        whole = lm(
            embedded[row : row + 1, : length + tokens],
            KvCache(shape, 15, CPU, torch.float32),
            metadata((0, 0), length + tokens),
        )
        expected.append(whole[:, length:])
        lm(embedded[row : row + 1, :length], together, metadata((first, 0), length))
    inputs = torch.stack([embedded[row, length : length + tokens] for row, length in enumerate(lengths)])
    extents = tuple(zip(firsts, lengths, strict=True))
    both = AttentionMetadata.after(torch.tensor(firsts), torch.tensor(lengths), tokens, extents)
    torch.testing.assert_close(lm(inputs, together, both), torch.cat(expected))


def metadata(extent: tuple[int, int], tokens: int) -> AttentionMetadata:
    """The next positions of one row, whose extent is its first position and length."""
    first, length = extent
    return AttentionMetadata.after(torch.tensor([first]), torch.tensor([length]), tokens, (extent,))
