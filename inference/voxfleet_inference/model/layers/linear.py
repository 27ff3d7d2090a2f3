"""Linear layers and embeddings with the parameter names of the published checkpoints.

Knows: weights come from a file, and a packed matrix may replace them. Does not know: what the weights mean, where in
the model they are, or how a packed matrix multiplies.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Multiply = Callable[[Tensor], Tensor]  # [..., inputs] to [..., outputs], bias added


class Linear(nn.Module):
    """A linear layer without initialization, because its weights come from a file."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.packed: Multiply | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., inputs]` to `[..., outputs]`."""
        if self.packed is not None:
            return self.packed(x)
        return functional.linear(x, self.weight, self.bias)

    def pack(self, into: Callable[[Tensor, Tensor | None], Multiply]) -> None:
        """Replace the weights by a packed copy that multiplies from now on, and free them."""
        self.packed = into(self.weight.detach(), None if self.bias is None else self.bias.detach())
        del self.weight, self.bias


class Embedding(nn.Module):
    """An embedding table without initialization."""

    def __init__(self, tokens: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, hidden))

    def forward(self, token_ids: Tensor) -> Tensor:
        """Look up `[...]` ids: `[..., hidden]`."""
        return functional.embedding(token_ids, self.weight)
