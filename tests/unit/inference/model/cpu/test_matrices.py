"""Packed matrices multiply as the plain ones do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix, row_scales
from voxfleet_inference.model.layers.linear import Linear, Multiply

SHAPES = [(64, 1), (96, 320), (1024, 128)]  # inputs and outputs, aligned and not


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [(1,), (5,), (2, 9), (3, 0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-7)])
def test_a_packed_float_matrix_is_the_matrix(
    shape: tuple[int, int], rows: tuple[int, ...], dtype: torch.dtype, tolerance: float
) -> None:
    inputs, outputs = shape
    weight, bias = (drawn(outputs, inputs) / inputs**0.5).to(dtype), drawn(outputs).to(dtype)
    x = drawn(*rows, inputs, seed=1).to(dtype)
    with torch.inference_mode():
        made = FloatMatrix(weight, bias)(x)
    assert made.dtype == dtype
    torch.testing.assert_close(made, functional.linear(x, weight, bias), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [(1,), (18,), (2, 9)])
def test_int8_is_a_sum_of_integers_times_the_scales_of_row_and_output(
    shape: tuple[int, int], rows: tuple[int, ...]
) -> None:
    inputs, outputs = shape
    matrix, x = Int8Matrix.quantize(drawn(outputs, inputs), None), drawn(*rows, inputs, seed=1)
    assert (matrix.inputs, matrix.outputs) == shape
    scales = x.abs().amax(-1, keepdim=True) / 127
    sums = (x / scales).round().long() @ matrix.codes.long().T
    torch.testing.assert_close(matrix(x), sums * matrix.scales * scales, atol=1e-4, rtol=1e-6)


def test_int8_is_close_to_the_exact_product() -> None:
    weight, x = drawn(512, 1024), drawn(18, 1024, seed=1)
    exact = functional.linear(x, weight)
    assert (Int8Matrix.quantize(weight, None)(x) - exact).norm() < 0.02 * exact.norm()


def test_int8_takes_no_bias() -> None:
    with pytest.raises(ValueError, match="bias"):
        Int8Matrix.quantize(drawn(4, 64), drawn(4))


def test_a_matrix_of_zeros_stays_one() -> None:
    matrix = Int8Matrix.quantize(torch.zeros(4, 64), None)
    assert not matrix.codes.any()
    assert torch.isfinite(matrix.scales).all()
    assert (row_scales(torch.zeros(2, 64)) > 0).all()


@pytest.mark.parametrize("into", [FloatMatrix, Int8Matrix.quantize])
def test_packing_frees_the_weights(into: Callable[[Tensor, Tensor | None], Multiply]) -> None:
    linear = Linear(256, 192, bias=False)
    linear.weight.data = drawn(192, 256)
    x = drawn(3, 256, seed=1)
    with torch.inference_mode():
        before = linear(x)
        linear.pack(into)
        after = linear(x)
    assert list(linear.parameters()) == []
    assert (after - before).norm() < 0.02 * before.norm()
