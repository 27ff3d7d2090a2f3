"""The network's operations against their textbook definitions."""

import torch
from torch import Tensor, nn
from voxfleet_inference.model.network import ScalarQuantizer


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_quantized_states_take_few_values() -> None:
    part = ScalarQuantizer(8, 4, 9)
    for weight, seed in ((part.in_proj, 0), (part.out_proj, 1)):
        weight.weight = nn.Parameter(torch.eye(*weight.weight.shape))
        weight.bias = nn.Parameter(torch.zeros(len(weight.weight)) * seed)
    codes = part(3 * normal(100, 8))[:, :4] * 9
    torch.testing.assert_close(codes, codes.round())
    assert codes.abs().max() == 9
