"""Matrices laid out for a CPU's vector instructions, and multiplied without looking at any other row.

Knows PyTorch's two libraries for that: oneDNN for float32 and bfloat16, fbgemm for int8. Does not know layers or files.
Of every matrix there is one copy, in a layout that only its library understands.
"""

from typing import Any

import torch
from torch import Tensor

LARGEST = 127  # of a signed byte; -128 is left out, so that the range is symmetrical
MIDDLE = 128  # fbgemm's activations are unsigned bytes: there 128 is zero
TINY = 1e-30  # a row of zeros has no largest value to divide by


class FloatMatrix:
    """float32 or bfloat16, summed in float32 and rounded once, as PyTorch's own product is."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        # No number of rows is named: a layout chosen for one number is slow for others, up to sixfold.
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)  # noqa: SLF001
        self._bias = None if bias is None else bias.clone()
        self._multiply: Any = torch.ops.mkldnn._linear_pointwise.default  # noqa: SLF001 - what PyTorch's compiler calls

    def __call__(self, x: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., outputs]`."""
        return self._multiply(x, self._weight, self._bias, "none", [], "")  # type: ignore[no-any-return]


class Int8Matrix:
    """A byte per weight with a scale per output; activations are rounded to bytes with a scale per row.

    The scale is the row's own, because one over the batch would let a stream hear its neighbours. Products are summed
    as 32-bit integers, so that the sums are exact and their order does not matter. In and out it is float32.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        codes, scales = quantized(weight)
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        per_output = torch._make_per_channel_quantized_tensor(codes, scales, zeros, 0)  # noqa: SLF001
        self._packed = torch.ops.quantized.linear_prepack(per_output, None)
        self._bias = None if bias is None else bias.float()
        self._multiply: Any = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default

    def __call__(self, x: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., outputs]`."""
        scales = row_scales(x)  # [..., 1]
        made: Tensor = self._multiply(x / scales, 1.0, MIDDLE, self._packed).mul_(scales)
        return made if self._bias is None else made.add_(self._bias)


def row_scales(x: Tensor) -> Tensor:
    """What a step of a byte is worth in each row: `[..., inputs]` to `[..., 1]`."""
    return x.abs().amax(dim=-1, keepdim=True).div_(LARGEST).clamp_min_(TINY)


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """`[outputs, inputs]` to bytes of the same shape, and what one is worth for each output."""
    wide = weight.float()
    scales = row_scales(wide)
    return (wide / scales).round_().to(torch.int8), scales.flatten()
