"""The transformer's operations against their textbook definitions."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from voxfleet_inference.model.config import RotaryShape
from voxfleet_inference.model.layers.transformer import RotaryTable, rotate

CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(first=st.integers(0, 500), second=st.integers(0, 500), shift=st.integers(0, 500))
def test_the_product_of_rotated_vectors_depends_on_their_distance_only(first: int, second: int, shift: int) -> None:
    table = RotaryTable(RotaryShape(16, 10_000.0, (1.0,) * 8, 1.0), 1001, CPU, torch.float32)
    query, key = normal(1, 1, 1, 16), normal(1, 1, 1, 16, seed=1)

    def met(at: int, other: int) -> Tensor:
        angles = (table.at(torch.tensor([[position]])) for position in (at, other))
        return (rotate(query, next(angles)) * rotate(key, next(angles))).sum()

    torch.testing.assert_close(met(first, second), met(first + shift, second + shift), atol=2e-3, rtol=0)
