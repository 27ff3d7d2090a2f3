"""A matrix and a table, as the published checkpoints name them.

Knows weights that come from a file, and that something faster may take a matrix's place. Does not know what the
weights mean, where in the model they stand, or how a packed matrix multiplies.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Multiply = Callable[[Tensor], Tensor]  # [..., inputs] to [..., outputs], bias added


class Linear(nn.Module):
    """A matrix and perhaps a bias. Unlike PyTorch's own it fills nothing in, because weights come from a file."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.packed: Multiply | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`[..., inputs]` to `[..., outputs]`."""
        if self.packed is not None:
            return self.packed(x)
        return functional.linear(x, self.weight, self.bias)

    def pack(self, into: Callable[[Tensor, Tensor | None], Multiply]) -> None:
        """Let a packed copy of the weights multiply from now on, and free the weights themselves."""
        self.packed = into(self.weight.detach(), None if self.bias is None else self.bias.detach())
        del self.weight, self.bias


class Embedding(nn.Module):
    """A row of numbers for each token."""

    def __init__(self, tokens: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, hidden))

    def forward(self, token_ids: Tensor) -> Tensor:
        """`[...]` ids to `[..., hidden]`."""
        return functional.embedding(token_ids, self.weight)
