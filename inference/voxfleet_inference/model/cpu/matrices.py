"""Matrices laid out for a CPU's vector instructions, and multiplied without looking at any other row.

Knows oneDNN for float32 and bfloat16, and what bytes stand for. Does not know layers or files, nor the kernels that
multiply bytes fast.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

LARGEST = 127  # of a signed byte; -128 is left out, so that the range is symmetrical
TINY = 1e-30  # a row of zeros has no largest value to divide by


class FloatMatrix:
    """float32 or bfloat16, summed in float32 and rounded once, as PyTorch's own product is."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._is_reordered = weight.dtype == torch.float32 or _has_bfloat16()
        # No number of rows is named: a layout chosen for one number is slow for others, up to sixfold.
        reorder: Any = torch.ops.mkldnn._reorder_linear_weight if self._is_reordered else _copied  # noqa: SLF001
        self._weight: Tensor = reorder(weight.contiguous(), None)  # [outputs, inputs]
        self._bias = None if bias is None else bias.clone()
        self._multiply: Any = torch.ops.mkldnn._linear_pointwise.default  # noqa: SLF001 - what PyTorch's compiler calls

    def __call__(self, x: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., outputs]`."""
        if not self._is_reordered:
            return functional.linear(x, self._weight, self._bias)
        return self._multiply(x, self._weight, self._bias, "none", [], "")  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Int8Matrix:
    """A byte per weight with a scale per output; activations are rounded to bytes with a scale per row.

    The scale is the row's own, because one over the batch would let a stream hear its neighbours. Products are summed
    as integers, so that the sums are exact and their order does not matter. What is written here is the definition, and
    slow: a stack of layers is multiplied by kernels that are held to it.
    """

    codes: Tensor  # [outputs, inputs] int8
    scales: Tensor  # [outputs] float32, what a byte of each output's weights is worth

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> "Int8Matrix":
        """The nearest to `[outputs, inputs]` of any type; no layer's matrix has a bias."""
        if bias is not None:
            raise ValueError("a matrix with a bias is not kept as bytes")
        wide = weight.float()
        scales = row_scales(wide)
        return cls((wide / scales).round_().to(torch.int8), scales.flatten())

    @property
    def inputs(self) -> int:
        """What it takes."""
        return self.codes.shape[1]

    @property
    def outputs(self) -> int:
        """What it makes."""
        return self.codes.shape[0]

    def __call__(self, x: Tensor) -> Tensor:
        """float32 `[..., inputs]` to `[..., outputs]`."""
        scales = row_scales(x)  # [..., 1]
        codes = (x * scales.reciprocal()).round_()
        sums = codes.double() @ self.codes.double().T  # exact: below 2^53
        return sums.float() * (scales * self.scales)


def _has_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 here: it needs AVX-512 or AVX-NE-CONVERT, and refuses to reorder without."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


def _copied(weight: Tensor, _rows: None) -> Tensor:
    return weight.clone()


def row_scales(x: Tensor) -> Tensor:
    """What a step of a byte is worth in each row: `[..., inputs]` to `[..., 1]`."""
    return x.abs().amax(dim=-1, keepdim=True).div_(LARGEST).clamp_min_(TINY)
