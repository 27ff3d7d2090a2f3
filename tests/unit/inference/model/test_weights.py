"""Weight files: weight normalization folded as PyTorch defines it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from voxfleet_inference.model.weights import WeightFile


class Stored(WeightFile):
    """Tensors that need no file."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(Path("stored"))
        self.tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def read(self, name: str) -> Tensor:
        return self.tensors[name]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layer", [nn.Conv1d(6, 10, 7), nn.ConvTranspose1d(6, 10, 4), nn.Conv1d(8, 8, 7, groups=8)])
def test_weight_normalization_folds_as_pytorch_computes_it(layer: nn.Module) -> None:
    normed = weight_norm(layer)
    parts = normed.state_dict()
    length, direction = parts["parametrizations.weight.original0"], parts["parametrizations.weight.original1"]
    folded = Stored({"w_g": length, "w_v": direction}).tensor("w", direction.shape)
    torch.testing.assert_close(folded, normed.weight.detach())


def test_a_folded_weight_is_preferred_to_its_parts() -> None:
    whole = normal(3, 2, 5)
    assert Stored({"w": whole, "w_v": whole * 2, "w_g": whole[:, :1, :1]}).tensor("w", whole.shape) is whole
