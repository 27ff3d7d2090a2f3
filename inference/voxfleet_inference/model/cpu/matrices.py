"""Matrices packed for a CPU: oneDNN's layout for float32 and bfloat16, and int8 quantization.

Knows: oneDNN's operators, and the definition of int8 products. Does not know: layers, files, or the C kernels that
multiply int8 fast. Each row of a product depends on no other row.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MAX_CODE = 127  # of a signed byte; -128 is not used, so that the range is symmetric
MIN_SCALE = 1e-30  # the scale of a row of zeros, which has no largest value to divide by


class FloatMatrix:
    """A float32 or bfloat16 matrix in oneDNN's layout; sums are float32 and rounded once, as in PyTorch's product."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._is_reordered = weight.dtype == torch.float32 or _has_bfloat16()
        # The number of rows is left open: a layout chosen for one number is up to six times slower for others.
        reorder: Any = torch.ops.mkldnn._reorder_linear_weight if self._is_reordered else _clone  # noqa: SLF001
        self._weight: Tensor = reorder(weight.contiguous(), None)  # [outputs, inputs]
        self._bias = None if bias is None else bias.clone()
        self._multiply: Any = torch.ops.mkldnn._linear_pointwise.default  # noqa: SLF001 - what PyTorch's compiler calls

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply `[..., inputs]`: `[..., outputs]`."""
        if not self._is_reordered:
            return functional.linear(x, self._weight, self._bias)
        return self._multiply(x, self._weight, self._bias, "none", [], "")  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Int8Matrix:
    """An int8 matrix with a scale per output; activations are quantized on the fly with a scale per row.

    This is the vector-wise quantization of LLM.int8() (arXiv:2208.07339) without its outliers, both sides symmetric.
    A scale over the batch would make a row's result depend on its neighbours. Products are summed as integers, so that
    sums are exact and their order does not matter. This is the slow definition that the C kernels are tested against.
    """

    codes: Tensor  # [outputs, inputs] int8
    scales: Tensor  # [outputs] float32, the weight that a code of 1 stands for

    @classmethod
    def quantize(cls, weight: Tensor, bias: Tensor | None) -> "Int8Matrix":
        """Quantize a weight `[outputs, inputs]` of any dtype.

        Raises:
            ValueError: there is a bias; the matrices of transformer layers have none.
        """
        if bias is not None:
            raise ValueError("an int8 matrix has no bias: quantize the layers' matrices only")
        wide = weight.float()
        scales = row_scales(wide)
        return cls((wide / scales).round_().to(torch.int8), scales.flatten())

    @property
    def inputs(self) -> int:
        """The width of its input."""
        return self.codes.shape[1]

    @property
    def outputs(self) -> int:
        """The width of its output."""
        return self.codes.shape[0]

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply float32 `[..., inputs]`: `[..., outputs]`."""
        scales = row_scales(x)  # [..., 1]
        codes = (x * scales.reciprocal()).round_()  # [..., inputs]
        sums = codes.double() @ self.codes.double().T  # [..., outputs], exact: below 2^53
        return sums.float() * (scales * self.scales)


def _has_bfloat16() -> bool:
    """Return whether oneDNN multiplies bfloat16 on this CPU: it needs AVX-512 or AVX-NE-CONVERT, even to reorder."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


def _clone(weight: Tensor, _rows: None) -> Tensor:
    return weight.clone()


def row_scales(x: Tensor) -> Tensor:
    """Return the quantization scale of each row of `[..., inputs]`: `[..., 1]`."""
    return x.abs().amax(dim=-1, keepdim=True).div_(MAX_CODE).clamp_min_(MIN_SCALE)
