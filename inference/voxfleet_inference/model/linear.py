"""A matrix and a table, as the published checkpoints name them.

Knows weights that come from a file. Does not know what they mean, or where in the model they stand.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Module):
    """A matrix and perhaps a bias. Unlike PyTorch's own it fills nothing in, because weights come from a file."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., outputs]`."""
        return functional.linear(x, self.weight, self.bias)


class Embedding(nn.Module):
    """A row of numbers for each token."""

    def __init__(self, tokens: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, hidden))

    def forward(self, token_ids: Tensor) -> Tensor:
        """`[...]` ids to `[..., hidden]`."""
        return functional.embedding(token_ids, self.weight)
