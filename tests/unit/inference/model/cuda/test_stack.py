"""A fused transformer against the plain one, with the kernels' references in PyTorch: both forward methods."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.cuda.shapes import tiny_sizes
from voxfleet_inference.model.cuda.stack import FusedTransformer
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.layers.transformer import RotaryTable, Transformer

CPU = torch.device("cpu")
SHAPE = replace(tiny_sizes().base_lm, vocabulary=0, layers=4)
EVERY_WAY = pytest.mark.parametrize("fused_max_rows", [0, 1000], ids=["eight", "five"])


def plain(scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Transformer:
    """Unit-gain random weights, so that any fault shows; the same for every dtype."""
    random = torch.Generator().manual_seed(3)
    model = Transformer(replace(SHAPE, residual_scale=scale), RotaryTable(SHAPE.rotary, 512, CPU, dtype))
    for weight in model.parameters():
        normal = torch.randn(weight.shape, generator=random)
        weight.data = 1 + 0.1 * normal if weight.dim() == 1 else normal / weight.shape[1] ** 0.5
    return model.requires_grad_(requires_grad=False).to(dtype)


def outputs_of(model: torch.nn.Module, dtype: torch.dtype = torch.float32) -> Tensor:
    """Its output for a prompt and two more steps, with two rows in one KV cache."""
    random = torch.Generator().manual_seed(4)
    cache = KvCache(SHAPE, 100, CPU, dtype)
    first, made = torch.tensor([50, 3]), []
    for tokens, length in ((7, 0), (1, 7), (1, 8)):
        lengths = torch.tensor([length, length])
        metadata = AttentionMetadata.after(first, lengths, tokens, ((50, length), (3, length)))
        made.append(model(torch.randn(2, tokens, SHAPE.hidden, generator=random).to(dtype), cache, metadata))
    return torch.cat(made, dim=1)


@EVERY_WAY
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_cached_attention_is_exact_in_float32(fused_max_rows: int, scale: float) -> None:
    expected = outputs_of(plain(scale))
    assert (outputs_of(FusedTransformer(plain(scale), fused_max_rows)) - expected).abs().max() < 1e-4
    assert expected.abs().max() > 1


@EVERY_WAY
@pytest.mark.parametrize("tokens", [5, 9])
def test_a_short_sequence_is_exact_in_float32(fused_max_rows: int, tokens: int) -> None:
    x = torch.randn(3, tokens, SHAPE.hidden, generator=torch.Generator().manual_seed(5))
    assert (FusedTransformer(plain(), fused_max_rows)(x) - plain()(x)).abs().max() < 1e-4


@EVERY_WAY
def test_bfloat16_is_no_further_from_float32_than_the_plain_one(fused_max_rows: int) -> None:
    exact = outputs_of(plain())
    theirs = (outputs_of(plain(dtype=torch.bfloat16), torch.bfloat16).float() - exact).norm()
    ours = (
        outputs_of(FusedTransformer(plain(dtype=torch.bfloat16), fused_max_rows), torch.bfloat16).float() - exact
    ).norm()
    assert 0 < ours < 1.2 * theirs


def test_the_weights_of_the_plain_layer_are_freed() -> None:
    model = plain()
    layer = model.layers[0]
    expected = copy.deepcopy(layer.self_attn.k_proj.weight)
    fused = FusedTransformer(model)
    assert not list(layer.self_attn.parameters())
    assert torch.equal(fused.fused[0].qkv[SHAPE.hidden :][: len(expected)], expected)


def test_the_number_of_rows_chooses_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    fused, taken = FusedTransformer(plain(), 10), []
    monkeypatch.setattr(fused, "forward_fused", lambda x, *_: taken.append(("five", len(x))) or x)
    monkeypatch.setattr(fused, "forward_cublas", lambda x, *_: taken.append(("eight", len(x))) or x)
    for rows in (2, 3):
        fused(torch.zeros(rows, 5, SHAPE.hidden))
    assert taken == [("five", 10), ("eight", 15)]
