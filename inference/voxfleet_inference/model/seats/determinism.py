"""The same bits every time: switches of PyTorch, and weights where they cannot move.

Knows what makes the last bits of a sum depend on the machine's mood. Does not know batches: that their shape is fixed
is the speaker's business.
"""

import os

import torch
from torch import nn

ALIGNMENT_BYTES = 64


def forbid_variation() -> None:
    """Before the first CUDA call: no reduced precision, no algorithm that adds in another order the next time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # filling costs, and is never read
    torch.use_deterministic_algorithms(mode=True)


def align_weights(module: nn.Module) -> None:
    """Give each weight an address that suits every kernel.

    A weight mapped from a file lies where the file has it; where it lies decides which kernel multiplies it on a CPU,
    and so the last bits of what comes out.
    """
    for weight in module.parameters():
        if weight.data_ptr() % ALIGNMENT_BYTES:
            weight.data = weight.data.clone()
