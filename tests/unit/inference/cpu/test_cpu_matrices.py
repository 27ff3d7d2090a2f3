"""Packed matrices: the products they promise, and no row that hears another."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix, quantized, row_scales
from voxfleet_inference.model.linear import Linear

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
@pytest.mark.parametrize("rows", [(1,), (18,), (2, 9), (3, 0)])
def test_int8_is_a_sum_of_integers_times_the_scales_of_row_and_output(
    shape: tuple[int, int], rows: tuple[int, ...]
) -> None:
    inputs, outputs = shape
    weight, bias, x = drawn(outputs, inputs), drawn(outputs), drawn(*rows, inputs, seed=1)
    codes, output_scales = quantized(weight)
    scales = x.abs().amax(-1, keepdim=True) / 127 if x.numel() else x[..., :1]
    sums = (x / scales).round().double() @ codes.double().T  # exact: below 2^53
    expected = (sums * output_scales * scales + bias).float()
    with torch.inference_mode():
        torch.testing.assert_close(Int8Matrix(weight, bias)(x), expected, atol=1e-4, rtol=1e-6)


def test_int8_sums_do_not_saturate() -> None:
    ones = torch.ones(3, 4096)
    with torch.inference_mode():
        made = Int8Matrix(ones, None)(torch.stack((ones[0], -ones[0])))
    torch.testing.assert_close(made, torch.tensor([[4096.0], [-4096.0]]).expand(2, 3), atol=0, rtol=1e-6)


def test_int8_is_close_to_the_exact_product() -> None:
    weight, x = drawn(512, 1024), drawn(18, 1024, seed=1)
    with torch.inference_mode():
        made, exact = Int8Matrix(weight, None)(x), functional.linear(x, weight)
    assert (made - exact).norm() < 0.02 * exact.norm()


@settings(max_examples=30, deadline=None)
@given(
    companions=st.lists(st.floats(1e-20, 1e20), min_size=1, max_size=20),
    place=st.integers(0, 20),
    size=st.floats(1e-3, 1e3),
)
def test_no_row_hears_another_in_int8(companions: list[float], place: int, size: float) -> None:
    """To the bit, whatever else is in the batch and wherever the row stands in it."""
    matrix, mine = Int8Matrix(drawn(192, 256), drawn(192)), size * drawn(1, 256, seed=2)
    others = drawn(len(companions), 256, seed=3) * torch.tensor(companions)[:, None]
    place %= len(companions) + 1
    with torch.inference_mode():
        together = matrix(torch.cat((others[:place], mine, others[place:])))
        assert torch.equal(together[place : place + 1], matrix(mine))


def test_a_row_of_zeros_is_the_bias() -> None:
    bias = drawn(192)
    with torch.inference_mode():
        made = Int8Matrix(drawn(192, 256), bias)(torch.stack((torch.zeros(256), drawn(256, seed=1))))
    assert torch.equal(made[0], bias)
    assert torch.isfinite(made).all()


def test_a_matrix_of_zeros_stays_one() -> None:
    codes, scales = quantized(torch.zeros(4, 64))
    assert not codes.any()
    assert torch.isfinite(scales).all()
    assert (row_scales(torch.zeros(2, 64)) > 0).all()


@pytest.mark.parametrize("into", [FloatMatrix, Int8Matrix])
def test_packing_frees_the_weights(into: type[FloatMatrix | Int8Matrix]) -> None:
    linear = Linear(256, 192)
    linear.weight.data, linear.bias.data = drawn(192, 256), drawn(192)
    x = drawn(3, 256, seed=1)
    with torch.inference_mode():
        before = linear(x)
        linear.pack(into)
        after = linear(x)
    assert list(linear.parameters()) == []
    assert (after - before).norm() < 0.02 * before.norm()
