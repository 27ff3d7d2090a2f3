"""The same bits every time: the switches of PyTorch.

Knows what makes the last bits of a sum depend on a GPU's mood. Does not know batches, whose shape the speaker fixes,
nor weights, which are aligned as they are loaded.

`torch.use_deterministic_algorithms` is not among the switches: to it every `index_copy_` is one that may write a place
twice, and it sorts the indices first, a dozen kernels (and, by version, a wait of the host) instead of one. Ours never
write a place twice, and a step has no other operation that it would change; a test looks at each.
"""

import os

import torch


def disable_nondeterminism() -> None:
    """Before the first CUDA call: no reduced precision, no algorithm that adds in another order the next time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
