"""What each Triton kernel takes for granted about its arguments, checked at every launch in place of a start.

Knows names, sizes, formats and grids: what a kernel would read or write beyond its tensors, or leave out, shows here.
Knows no values.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

Given = dict[str, Any]  # a kernel's arguments and constants by their names

WRITTEN = {
    "_add_norm_kernel": ("sum_at", "out_at"),
    "_swiglu_kernel": ("out_at",),
    "_norm_linear_kernel": ("out_at",),
    "_linear_residual_kernel": ("out_at",),
    "_attention_kernel": ("out_at", "keys_at", "values_at"),
    "_part_kernel": ("best_at", "weight_at", "mixed_at", "keys_at", "values_at"),
    "_merge_kernel": ("out_at",),
}


def check_launch(kernel: Any, grid: Sequence[int], arguments: Sequence[Any], constants: Given) -> tuple[Any, Any]:
    """Fail where a start would; otherwise the tensors that are read, and those that are written."""
    name, given = kernel.fn.__name__, dict(zip(kernel.arg_names, arguments, strict=False)) | constants
    missing = set(kernel.arg_names) - set(given)
    assert not missing, f"{name} was not given {missing}"
    tensors = {key: value for key, value in given.items() if isinstance(value, Tensor)}
    for key, tensor in tensors.items():
        assert tensor.is_cuda, f"{name}: {key} lies on {tensor.device}"
        assert tensor.is_contiguous() or key in {"cosines_at", "sines_at"}, f"{name}: {key} has gaps"
        expected = _format(given, key)
        assert tensor.dtype == expected, f"{name}: {key} is {tensor.dtype}, not {expected}"
    assert all(0 < size < limit for size, limit in zip(grid, (2**31, 2**16, 2**16), strict=False)), (name, grid)
    for key, needed in NEEDED[name](given, tuple(grid)).items():
        assert given[key].numel() == needed, f"{name}: {key} has {given[key].numel()} values and needs {needed}"
    written = [
        tensors[key]
        for key in WRITTEN[name]
        if key not in {"sum_at", "keys_at", "values_at"} or _is_written(given, key)
    ]
    return list(tensors.values()), written


def _is_written(given: Given, key: str) -> bool:
    return bool(given["ADDS"]) if key == "sum_at" else bool(given.get("HAS_PAST", True))


def _format(given: Given, key: str) -> torch.dtype:
    if key in {"best_at", "mixed_at"} or (key == "weight_at" and "best_at" in given):
        return torch.float32
    if key in {"first_at", "lengths_at"} and given.get("HAS_PAST", True):
        return torch.int64
    model = given["out_at"] if "out_at" in given else given["qkv_at"]
    return model.dtype  # type: ignore[no-any-return]


def _covers(grid_size: int, block: int, size: int) -> None:
    assert block & (block - 1) == 0, f"a block of {block} is no power of two"
    assert (grid_size - 1) * block < size <= grid_size * block, f"{grid_size} blocks of {block} for {size}"


def _add_norm(given: Given, grid: Sequence[int]) -> dict[str, int]:
    _covers(1, given["BLOCK"], given["WIDTH"])
    rows = grid[0] * given["WIDTH"]
    return dict.fromkeys(("x_at", "delta_at", "sum_at", "out_at"), rows) | {"weight_at": given["WIDTH"]}


def _swiglu(given: Given, grid: Sequence[int]) -> dict[str, int]:
    _covers(grid[1], given["BLOCK"], given["WIDTH"])
    return {"gate_up_at": 2 * grid[0] * given["WIDTH"], "out_at": grid[0] * given["WIDTH"]}


def _matrix(given: Given, grid: Sequence[int]) -> dict[str, int]:
    rows, inputs, outputs = given["rows"], given["INPUTS"], given["OUTPUTS"]
    _covers(grid[0], given["BLOCK_OUTPUTS"], outputs)
    _covers(grid[1], given["BLOCK_ROWS"], rows)
    matrices = 2 if given.get("IS_SWIGLU") else 1
    return {"x_at": rows * inputs, "weight_at": matrices * outputs * inputs, "out_at": rows * outputs}


def _norm_linear(given: Given, grid: Sequence[int]) -> dict[str, int]:
    return _matrix(given, grid) | {"norm_at": given["INPUTS"]}


def _linear_residual(given: Given, grid: Sequence[int]) -> dict[str, int]:
    return _matrix(given, grid) | {"residual_at": given["rows"] * given["OUTPUTS"]}


def _attention(given: Given, grid: Sequence[int]) -> dict[str, int]:
    heads, kv_heads, dim, tokens = (given[key] for key in ("HEADS", "KV_HEADS", "DIM", "tokens"))
    assert (heads % kv_heads, grid[1]) == (0, kv_heads)
    _covers(1, given["BLOCK_DIM"], dim)
    _covers(grid[2], given["BLOCK_QUERIES"], tokens * heads // kv_heads)
    for table in ("cosines_at", "sines_at"):
        assert given[table].stride(0) == dim, f"{table} has rows of {given[table].stride(0)}"
        assert given[table].shape[0] >= tokens
    rows = grid[0]
    needed = {"qkv_at": rows * tokens * (heads + 2 * kv_heads) * dim, "out_at": rows * tokens * heads * dim}
    if given["HAS_PAST"]:
        assert prod(given["keys_at"].shape[1:]) == prod(given["values_at"].shape[1:]) == kv_heads * dim
        needed |= {"first_at": rows, "lengths_at": rows}
    return needed


def _part(given: Given, grid: Sequence[int]) -> dict[str, int]:
    heads, kv_heads, dim = (given[key] for key in ("HEADS", "KV_HEADS", "DIM"))
    assert (given["tokens"], grid[1], heads % kv_heads) == (1, kv_heads, 0)
    _covers(1, given["BLOCK_DIM"], dim)
    assert given["BLOCK_QUERIES"] >= heads // kv_heads
    parts = grid[0] * heads * grid[2]
    needed = {"qkv_at": grid[0] * (heads + 2 * kv_heads) * dim, "first_at": grid[0], "lengths_at": grid[0]}
    return needed | {"best_at": parts, "weight_at": parts, "mixed_at": parts * dim}


def _merge(given: Given, grid: Sequence[int]) -> dict[str, int]:
    assert (grid[1], given["parts"] <= given["BLOCK_PARTS"]) == (given["HEADS"], True)
    parts = grid[0] * given["HEADS"] * given["parts"]
    whole = {"out_at": grid[0] * given["HEADS"] * given["DIM"]}
    return whole | {"best_at": parts, "weight_at": parts, "mixed_at": parts * given["DIM"]}


NEEDED: dict[str, Callable[[Given, Sequence[int]], dict[str, int]]] = {
    "_add_norm_kernel": _add_norm,
    "_swiglu_kernel": _swiglu,
    "_norm_linear_kernel": _norm_linear,
    "_linear_residual_kernel": _linear_residual,
    "_attention_kernel": _attention,
    "_part_kernel": _part,
    "_merge_kernel": _merge,
}
