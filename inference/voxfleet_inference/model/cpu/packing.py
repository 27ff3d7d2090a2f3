"""Which matrices of the network a CPU packs, and how.

Knows the network's names and what quantization may touch. Does not know the layouts. Small matrices stay as they are:
for them a call costs more than the product.
"""

import torch
from torch import nn

from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix
from voxfleet_inference.model.linear import Linear

WORTH_PACKING = 65_536  # weights
IN_A_LAYER = ".layers."


def arithmetic_of(dtype: torch.dtype) -> torch.dtype:
    """What everything but packed matrices is computed in: int8 is no type to compute in."""
    return torch.float32 if dtype == torch.int8 else dtype


def pack_part(name: str, part: nn.Module, dtype: torch.dtype) -> None:
    """Pack a part of the network that has just got its weights, if it is a matrix worth it.

    In int8 these are the matrices of the transformer layers. The quantizer (FSQ) and the stop head decide between
    discrete values and stay exact, with the few projections around them.
    """
    if not isinstance(part, Linear):
        return
    if dtype == torch.int8 and IN_A_LAYER in name:
        part.pack(Int8Matrix)
    elif part.weight.numel() >= WORTH_PACKING:
        part.pack(FloatMatrix)
