"""Runs every kernel in Triton's interpreter and its reference in PyTorch, and prints their distances as JSON.

A program of its own, because the interpreter is selected when Triton is imported.
"""

import copy
import json
import sys
from dataclasses import replace
from itertools import product
from typing import Any

import repaired_interpreter
import torch
from torch import Tensor
from voxfleet_inference.model.cuda.kernels.attention import KvContext, attention, attention_reference
from voxfleet_inference.model.cuda.kernels.linears import (
    linear_residual,
    linear_residual_reference,
    norm_linear,
    norm_linear_reference,
)
from voxfleet_inference.model.cuda.kernels.norms import add_norm, add_norm_reference, swiglu, swiglu_reference
from voxfleet_inference.model.cuda.kernels.softmax import Heads
from voxfleet_inference.model.cuda.shapes import tiny_sizes
from voxfleet_inference.model.cuda.stack import FusedTransformer
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache, KvLayer
from voxfleet_inference.model.layers.transformer import RotaryTable, Transformer
from voxfleet_inference.model.shapes import RotaryShape

assert repaired_interpreter.interpreter
random = torch.Generator().manual_seed(0)


def normal(*size: int, gain: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    return (gain * torch.randn(size, generator=random)).to(dtype)


def distance(kernel: Tensor | tuple[Tensor, ...], reference: Tensor | tuple[Tensor, ...]) -> tuple[float, float]:
    """Largest difference relative to the reference's largest value, and the share of values that differ at all."""
    pairs = list(zip(*((each,) if isinstance(each, Tensor) else each for each in (kernel, reference)), strict=True))
    far = max(((a.double() - b.double()).abs().max() / b.double().abs().max()).item() for a, b in pairs)
    return far, max((a != b).double().mean().item() for a, b in pairs)


def row_kernels(dtype: torch.dtype) -> dict[str, tuple[float, float]]:
    found = {}
    for rows, width in ((1, 64), (5, 96)):
        x, delta = normal(rows, width, dtype=dtype), normal(rows, width, dtype=dtype)
        norm = normal(width, gain=0.1, dtype=dtype) + 1
        weight = normal(160, width, gain=0.2, dtype=dtype)
        residual = normal(rows, 160, dtype=dtype)
        calls = {
            "norm": (add_norm, add_norm_reference, (x, None, 1.0, norm, 1e-5), {}),
            "add and norm": (add_norm, add_norm_reference, (x, delta, 1.0, norm, 1e-5), {}),
            "add scaled and norm": (add_norm, add_norm_reference, (x, delta, 0.7, norm, 1e-5), {}),
            "SwiGLU": (swiglu, swiglu_reference, (residual,), {}),
            "norm and linear": (norm_linear, norm_linear_reference, (x, norm, 1e-5, weight), {}),
            "norm and SwiGLU": (norm_linear, norm_linear_reference, (x, norm, 1e-5, weight), {"is_swiglu": True}),
            "linear and residual": (linear_residual, linear_residual_reference, (x, weight, residual), {}),
            "linear and scaled residual": (linear_residual, linear_residual_reference, (x, weight, residual, 0.7), {}),
        }
        for name, (kernel, reference, given, more) in calls.items():
            found[f"{name}, {rows} rows"] = distance(kernel(*given, **more), reference(*given, **more))
    for rows in (17, 66):  # the wider tiles, with a rest
        x, norm, weight = normal(rows, 48, dtype=dtype), normal(48, dtype=dtype), normal(72, 48, dtype=dtype)
        given = (x, norm, 1e-5, weight)
        found[f"norm and linear, {rows} rows"] = distance(norm_linear(*given), norm_linear_reference(*given))
    return found


def rotary(dim: int, dtype: torch.dtype) -> RotaryTable:
    factors = tuple(1 + 0.1 * index for index in range(dim // 2))
    return RotaryTable(RotaryShape(dim, 1e4, factors, 1.0), 1024, torch.device("cpu"), dtype)


def cached_attention(
    heads: Heads, lengths: list[int], tokens: int, dtype: torch.dtype, *, may_split_kv: bool = False
) -> tuple[float, float]:
    """Attention over a KV cache: outputs, and every key and value in it."""
    config = max(130, *(length + tokens for length in lengths))
    kernel = KvLayer(*(normal(config * len(lengths) + 10, heads.keys, heads.dim, dtype=dtype) for _ in range(2)))
    reference = KvLayer(kernel.keys.clone(), kernel.values.clone())
    first = [config * row for row in range(len(lengths))]
    metadata = AttentionMetadata.after(
        torch.tensor(first), torch.tensor(lengths), tokens, tuple(zip(first, lengths, strict=True))
    )
    qkv = normal(len(lengths), tokens, sum(heads.widths), dtype=dtype)
    table = rotary(heads.dim, dtype)
    ours = attention(qkv, heads, table, KvContext(kernel, metadata, may_split_kv))
    theirs = attention_reference(qkv, heads, table, KvContext(reference, metadata))
    assert torch.equal(kernel.values, reference.values)
    return distance((ours, kernel.keys), (theirs, reference.keys))


def attention_kernels(dtype: torch.dtype) -> dict[str, tuple[float, float]]:
    found = {}
    for heads in (Heads(4, 2, 16), Heads(4, 2, 24), Heads(16, 2, 64)):
        for lengths, tokens in (([0, 5, 90], 1), ([3, 66], 4)):
            name = f"{tokens} more after {lengths}, head {heads.dim}"
            found[name] = cached_attention(heads, lengths, tokens, dtype)
        qkv = normal(2, 9, sum(heads.widths), dtype=dtype)
        table = rotary(heads.dim, dtype)
        found[f"9 on their own, head {heads.dim}"] = distance(
            attention(qkv, heads, table, None), attention_reference(qkv, heads, table, None)
        )
        for lengths in ([0, 5, 90], [1, 64, 65, 128]):  # parts of none, one and more blocks
            name = f"1 in splits after {lengths}, head {heads.dim}"
            found[name] = cached_attention(heads, lengths, 1, dtype, may_split_kv=True)
    found["1 in splits after [700], head 16"] = cached_attention(Heads(32, 8, 16), [700], 1, dtype, may_split_kv=True)
    found["66 more after [10], head 16"] = cached_attention(Heads(2, 2, 16), [10], 66, dtype)
    return found


def whole_stacks(dtype: torch.dtype) -> dict[str, tuple[float, float]]:
    """A fused transformer on its kernels and the plain one: prefill, a step, and a sequence without a cache."""
    shape = replace(tiny_sizes().base_lm, vocabulary=0, layers=2, hidden=32, ffn=48, heads=2, kv_heads=1)
    found = {}
    for way, fused_max_rows in (("five", 1000), ("eight", 0)):
        plain = Transformer(shape, RotaryTable(shape.rotary, 64, torch.device("cpu"), dtype)).requires_grad_(
            requires_grad=False
        )
        for weight in plain.parameters():
            weight.data = normal(*weight.shape, gain=1 / weight.shape[-1] ** 0.5, dtype=dtype)
        ours = FusedTransformer(copy.deepcopy(plain), fused_max_rows)
        kv_caches = [KvCache(shape, 40, torch.device("cpu"), dtype) for _ in range(2)]
        passes = [(2, 5, None), (2, 3, 0), (2, 1, 3)]
        for rows, tokens, length in passes:
            x = normal(rows, tokens, shape.hidden, dtype=dtype)
            pasts: list[tuple[Any, ...]] = [(), ()]
            if length is not None:
                metadata = AttentionMetadata.after(
                    torch.tensor([0, 20]), torch.tensor([length] * 2), tokens, ((0, length), (20, length))
                )
                pasts = [(cache, metadata) for cache in kv_caches]
            name = f"whole stack in {way}, {tokens} after {length}"
            found[name] = distance(ours(x, *pasts[0]), plain(x, *pasts[1]))
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = {
        f"{name}, {str(dtype).removeprefix('torch.')}": far
        for dtype, kernels in product((torch.float32, torch.bfloat16), (row_kernels, attention_kernels, whole_stacks))
        for name, far in kernels(dtype).items()
    }
    json.dump(made, sys.stdout)
