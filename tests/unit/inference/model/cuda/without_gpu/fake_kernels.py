"""Checks the preconditions of each Triton kernel at its launch.

Knows: names, sizes, formats and grids, so that a kernel that would read or write beyond its tensors, or leave out a
part, fails. Does not know: values.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

Given = dict[str, Any]  # a kernel's arguments and constants by their names

WRITTEN = {
    "_add_norm_kernel": ("sum_ptr", "out_ptr"),
    "_swiglu_kernel": ("out_ptr",),
    "_norm_linear_kernel": ("out_ptr",),
    "_linear_residual_kernel": ("out_ptr",),
    "_attention_kernel": ("out_ptr", "keys_ptr", "values_ptr"),
    "_split_kernel": ("max_ptr", "sum_ptr", "acc_ptr", "keys_ptr", "values_ptr"),
    "_merge_kernel": ("out_ptr",),
}


def check_launch(kernel: Any, grid: Sequence[int], arguments: Sequence[Any], constants: Given) -> tuple[Any, Any]:
    """Fail where a launch would; otherwise return the tensors that are read and those that are written."""
    name, given = kernel.fn.__name__, dict(zip(kernel.arg_names, arguments, strict=False)) | constants
    missing = set(kernel.arg_names) - set(given)
    assert not missing, f"{name} was not given {missing}"
    tensors = {key: value for key, value in given.items() if isinstance(value, Tensor)}
    for key, tensor in tensors.items():
        assert tensor.is_cuda, f"{name}: {key} lies on {tensor.device}"
        assert tensor.is_contiguous() or key in {"cosines_ptr", "sines_ptr"}, f"{name}: {key} has gaps"
        expected = _format(given, key)
        assert tensor.dtype == expected, f"{name}: {key} is {tensor.dtype}, not {expected}"
    assert all(0 < size < limit for size, limit in zip(grid, (2**31, 2**16, 2**16), strict=False)), (name, grid)
    for key, needed in NEEDED[name](given, tuple(grid)).items():
        assert given[key].numel() == needed, f"{name}: {key} has {given[key].numel()} values and needs {needed}"
    written = [
        tensors[key]
        for key in WRITTEN[name]
        if key not in {"sum_ptr", "keys_ptr", "values_ptr"} or _is_written(given, key)
    ]
    return list(tensors.values()), written


def _is_written(given: Given, key: str) -> bool:
    return bool(given.get("HAS_DELTA", True)) if key == "sum_ptr" else bool(given.get("HAS_CACHE", True))


def _format(given: Given, key: str) -> torch.dtype:
    if key in {"max_ptr", "acc_ptr"} or (key == "sum_ptr" and "max_ptr" in given):
        return torch.float32
    if key in {"first_ptr", "lengths_ptr"} and given.get("HAS_CACHE", True):
        return torch.int64
    model = given["out_ptr"] if "out_ptr" in given else given["qkv_ptr"]
    return model.dtype  # type: ignore[no-any-return]


def _covers(grid_size: int, block: int, size: int) -> None:
    assert block & (block - 1) == 0, f"a block of {block} is no power of two"
    assert (grid_size - 1) * block < size <= grid_size * block, f"{grid_size} blocks of {block} for {size}"


def _add_norm(given: Given, grid: Sequence[int]) -> dict[str, int]:
    _covers(1, given["BLOCK"], given["WIDTH"])
    rows = grid[0] * given["WIDTH"]
    return dict.fromkeys(("x_ptr", "delta_ptr", "sum_ptr", "out_ptr"), rows) | {"weight_ptr": given["WIDTH"]}


def _swiglu(given: Given, grid: Sequence[int]) -> dict[str, int]:
    _covers(grid[1], given["BLOCK"], given["WIDTH"])
    return {"gate_up_ptr": 2 * grid[0] * given["WIDTH"], "out_ptr": grid[0] * given["WIDTH"]}


def _matrix(given: Given, grid: Sequence[int]) -> dict[str, int]:
    rows, inputs, outputs = given["rows"], given["INPUTS"], given["OUTPUTS"]
    _covers(grid[0], given["BLOCK_OUTPUTS"], outputs)
    _covers(grid[1], given["BLOCK_ROWS"], rows)
    matrices = 2 if given.get("IS_SWIGLU") else 1
    return {"x_ptr": rows * inputs, "weight_ptr": matrices * outputs * inputs, "out_ptr": rows * outputs}


def _norm_linear(given: Given, grid: Sequence[int]) -> dict[str, int]:
    return _matrix(given, grid) | {"norm_ptr": given["INPUTS"]}


def _linear_residual(given: Given, grid: Sequence[int]) -> dict[str, int]:
    return _matrix(given, grid) | {"residual_ptr": given["rows"] * given["OUTPUTS"]}


def _attention(given: Given, grid: Sequence[int]) -> dict[str, int]:
    heads, kv_heads, dim, tokens = (given[key] for key in ("HEADS", "KV_HEADS", "DIM", "tokens"))
    assert (heads % kv_heads, grid[1]) == (0, kv_heads)
    _covers(1, given["BLOCK_DIM"], dim)
    _covers(grid[2], given["BLOCK_QUERIES"], tokens * heads // kv_heads)
    for table in ("cosines_ptr", "sines_ptr"):
        assert given[table].stride(0) == dim, f"{table} has rows of {given[table].stride(0)}"
        assert given[table].shape[0] >= tokens
    rows = grid[0]
    needed = {"qkv_ptr": rows * tokens * (heads + 2 * kv_heads) * dim, "out_ptr": rows * tokens * heads * dim}
    if given["HAS_CACHE"]:
        assert prod(given["keys_ptr"].shape[1:]) == prod(given["values_ptr"].shape[1:]) == kv_heads * dim
        needed |= {"first_ptr": rows, "lengths_ptr": rows}
    return needed


def _split(given: Given, grid: Sequence[int]) -> dict[str, int]:
    heads, kv_heads, dim = (given[key] for key in ("HEADS", "KV_HEADS", "DIM"))
    assert (given["tokens"], grid[1], heads % kv_heads) == (1, kv_heads, 0)
    _covers(1, given["BLOCK_DIM"], dim)
    assert given["BLOCK_QUERIES"] >= heads // kv_heads
    splits = grid[0] * heads * grid[2]
    needed = {"qkv_ptr": grid[0] * (heads + 2 * kv_heads) * dim, "first_ptr": grid[0], "lengths_ptr": grid[0]}
    return needed | {"max_ptr": splits, "sum_ptr": splits, "acc_ptr": splits * dim}


def _merge(given: Given, grid: Sequence[int]) -> dict[str, int]:
    assert (grid[1], given["splits"] <= given["BLOCK_SPLITS"]) == (given["HEADS"], True)
    splits = grid[0] * given["HEADS"] * given["splits"]
    whole = {"out_ptr": grid[0] * given["HEADS"] * given["DIM"]}
    return whole | {"max_ptr": splits, "sum_ptr": splits, "acc_ptr": splits * given["DIM"]}


NEEDED: dict[str, Callable[[Given, Sequence[int]], dict[str, int]]] = {
    "_add_norm_kernel": _add_norm,
    "_swiglu_kernel": _swiglu,
    "_norm_linear_kernel": _norm_linear,
    "_linear_residual_kernel": _linear_residual,
    "_attention_kernel": _attention,
    "_split_kernel": _split,
    "_merge_kernel": _merge,
}
